"""Settings of the preparation: the section `prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import Field, model_validator

from cityscribe.redact import RedactOptions
from cityscribe.settings import Fraction, Named, OneOf, Positive, Rate, Section, conflict
from cityscribe.sources.settings import DataSettings


class RulesSettings(Section):
    """Of the labeller that needs no model."""

    kind: Literal["rules"] = "rules"


class RandomiseSettings(Section):
    """Changes of training frames."""

    strength: int = Field(0, ge=0, le=5, description="a frame is changed at a strength from 1 to this; 0: none is")
    share: Fraction = Field(0.5, description="of the training frames that are changed")
    kinds: tuple[Annotated[str, Named("randomiser")], ...] = Field(
        ("photometry", "painted", "noise", "blur", "motion-blur", "coarse", "compression"),
        min_length=1,
        description="of which one is drawn for each frame; those of weather, light and palette can make captions wrong "
        "that speak of weather, light or colours",
    )
    seed: int = Field(0, description="draws the frames, the kinds and their strengths")


class PrepareSettings(Section):
    pedestrian_threshold: float = Field(1000.0, ge=0, description="thr_p of Eq. 2, pixels squared")
    vehicle_threshold: float = Field(1000.0, ge=0, description="thr_v of Eq. 2, pixels squared")
    images: tuple[Annotated[str, Named("image")], ...] = Field(
        ("local", "global"),
        min_length=1,
        description="which images a sample shows, in order; pedestrian and vehicle show one road user alone, "
        "appearance the pedestrian where any phase and view of the scenario shows it best",
    )
    frames: Positive = Field(
        1, description="frames of a phase: 1 takes the first annotated one, more are spread evenly over it"
    )
    frames_as: Literal["images", "video"] = Field(
        "images", description="how several frames are shown: each with its images, or together as a video"
    )
    draw_boxes: bool = Field(True, description="draw the boxes on the images (the visual prompt)")
    store_boxes: bool = Field(
        False, description="write the boxes into the files of the images, for a model that makes tokens of them"
    )
    vehicle_view_box: Literal["ask", "draw", "ignore"] = Field(
        "ask",
        description="what a vehicle's box in the vehicle's own view is: ask: the vehicle that questions are about; "
        "draw: a road user like others, questions are about the ego-vehicle (section 3.2.3); ignore: not there",
    )
    draw_gaze: bool = Field(False, description="draw an arrow from the pedestrian's head to where the person looks")
    box_scale: Rate = Field(1.2, description="c of Eq. 3")
    crop_scale: Rate = Field(1.5, description="c* of Eq. 5")
    lone_view: Fraction = Field(
        1 / 6,
        description="least side of a local view around a lone box, share of the frame's shorter side; 0: Eq. 6 alone",
    )
    line_width: Positive = Field(4, description="of a drawn box, pixels of the frame")
    image_size: int = Field(0, ge=0, description="longest side of a stored image, 0 keeps the size")
    jpeg_quality: int = Field(95, ge=1, le=100)
    prompts: Path | None = Field(None, description="YAML file that replaces the prompts of the package")
    rounds: Literal["single", "multi"] = Field("single", description="one question a sample, or all of an image in one")
    short_per_long: float | None = Field(
        1.0, ge=0, description="short questions for each long one, drawn by the seed; null keeps all"
    )
    labeller: Annotated[Section, OneOf("labeller")] = Field(
        RulesSettings(), description="who sorts the sentences of captions into dimensions"
    )
    engine: Annotated[str, Named("prepare-engine")] = Field(
        "local", description="who works on the videos: processes here, or a Ray cluster (extra [ray])"
    )
    workers: int = Field(0, ge=0, description="processes, or tasks of Ray, at once; 0 takes one a core")
    redact: tuple[Annotated[str, Named("redactor")], ...] = Field(
        (), description="what is made unrecognisable before anything is drawn or cropped, such as [faces, plates]"
    )
    redact_detector: str | None = Field(
        None, description="folder or hub id of an object detector that knows number plates, for plates"
    )
    redact_threshold: Fraction = Field(0.2, description="score from which a face or a plate counts")
    randomise: RandomiseSettings = RandomiseSettings()
    rotate_options: bool = Field(
        False, description="ask questions with options in all rotations, but for training (circular evaluation)"
    )

    @model_validator(mode="after")
    def _one_image_of_appearance(self) -> PrepareSettings:
        if self.frames > 1 and "appearance" in self.images:
            raise conflict("prepare.frames above 1 and the image `appearance` contradict each other")
        return self

    @property
    def redaction(self) -> RedactOptions:
        """What is to be covered in every picture."""
        return RedactOptions(self.redact, self.redact_detector, self.redact_threshold)


class Preparing(Protocol):
    """What a preparation takes of the settings of a project."""

    @property
    def seed(self) -> int: ...

    @property
    def data(self) -> DataSettings: ...

    @property
    def prepare(self) -> PrepareSettings: ...
