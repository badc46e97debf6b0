"""Settings of the data set: the section `data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cityscribe.settings import Fraction, Named, Positive, Rate, Section, conflict


class VideoDefaults(Section):
    """How a video of a conversation is shown, where the data set does not say it itself. With a rate or a count videos
    stay videos; without, they become images (`data.frames`)."""

    fps: Rate | None = Field(None, description="frames a second; null here and in frames makes images of videos")
    frames: Positive | None = Field(None, description="frames in all, spread evenly; in the place of fps")
    max_frames: Positive | None = Field(None, description="where a rate gives more, so many are spread evenly")
    max_pixels: Positive | None = Field(None, description="of a frame; larger ones are scaled down")
    max_total_pixels: Positive | None = Field(None, description="of all frames of a video together")
    grid: Positive | None = Field(None, description="so many of the frames are one picture, side by side (thumbnail)")
    times: bool = Field(True, description="a model that is shown frames as images is told their times in words")

    @model_validator(mode="after")
    def _one_way_to_choose(self) -> VideoDefaults:
        if self.fps is not None and self.frames is not None:
            raise conflict("data.video.fps and data.video.frames contradict each other; give one")
        return self

    @property
    def stay_videos(self) -> bool:
        return self.fps is not None or self.frames is not None


class DataSettings(Section):
    source: Annotated[str, Named("source")] = Field(
        "wts", description="format of the data set; where none is written, the one that the folder is in"
    )
    path: Path = Field(description="folder of the data set")
    files: tuple[str, ...] = Field(
        (), description="of a source of conversations: which files of the folder; none takes all"
    )
    frames: int = Field(4, ge=0, le=1024, description="frames that show a video of a conversation; 0 refuses videos")
    video: VideoDefaults = VideoDefaults()
    val_share: Fraction = Field(
        0.1, description="share of the images that validates where a data set of conversations names no split for it"
    )
    train_share: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="share of the training scenarios, or of the training images, that is learned from, drawn"
    )
    licence: str = Field(
        "",
        max_length=200,
        description="of the data set, an SPDX id or words, for the model card; empty: what its format tells",
    )
    boxes: Literal["annotated", "generated", "both"] = Field(
        "annotated", description="which boxes to use; both: generated ones where a phase has no annotated one"
    )
    tracks: Path | None = Field(
        None, description="file or folder of an annotation tool or tracker, read as generated boxes of its videos"
    )
