"""The settings of a project: typed, with defaults, checked at once.

A project is a YAML file whose sections are the stages. Everything has a default but `data.path`. This is the one place
where defaults are resolved: after `load_settings` every value is there, and a stage takes its section whole.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cityscribe.records import InputError

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class DataSettings(Section):
    source: Literal["wts"] = Field("wts", description="format of the data set")
    path: Path = Field(description="folder of the data set")
    boxes: Literal["annotated", "generated", "both"] = Field(
        "annotated", description="which boxes to use; both: generated ones where a phase has no annotated one"
    )


class LabellerSettings(Section):
    """Who sorts the sentences of a caption into dimensions."""

    kind: Literal["rules", "openai"] = Field("rules", description="rules need no network; openai asks a server")
    base_url: str = Field("http://127.0.0.1:8000/v1", description="of any OpenAI-compatible server")
    model: str = Field("", description="name of the model on that server")
    timeout_s: Rate = Field(30.0, description="seconds to wait for one reply")


class PrepareSettings(Section):
    pedestrian_threshold: float = Field(1000.0, ge=0, description="thr_p of Eq. 2, pixels squared")
    vehicle_threshold: float = Field(1000.0, ge=0, description="thr_v of Eq. 2, pixels squared")
    images: tuple[Literal["global", "local"], ...] = Field(
        ("local", "global"), min_length=1, description="which images a sample shows, in order"
    )
    draw_boxes: bool = Field(True, description="draw the boxes on the images (the visual prompt)")
    box_scale: Rate = Field(1.2, description="c of Eq. 3")
    crop_scale: Rate = Field(1.5, description="c* of Eq. 5")
    line_width: Positive = Field(4, description="of a drawn box, pixels of the frame")
    image_size: int = Field(0, ge=0, description="longest side of a stored image, 0 keeps the size")
    jpeg_quality: int = Field(95, ge=1, le=100)
    prompts: Path | None = Field(None, description="YAML file that replaces the prompts of the package")
    rounds: Literal["single", "multi"] = Field("single", description="one question a sample, or all of an image in one")
    short_per_long: float | None = Field(
        1.0, ge=0, description="short questions for each long one, drawn by the seed; null keeps all"
    )
    labeller: LabellerSettings = LabellerSettings()
    workers: int = Field(0, ge=0, description="processes; 0 takes one a core")


class BlockExpansionSettings(Section):
    blocks: Positive = Field(12, description="how many copies are inserted, spread evenly")
    positions: tuple[int, ...] | None = Field(
        None, description="insert a copy after each of these layers (counted from 0) instead"
    )


class LoraSettings(Section):
    rank: Positive = 64
    alpha: Rate = 128.0
    dropout: Fraction = 0.0
    targets: tuple[str, ...] | None = Field(None, description="names of modules; null takes all linear ones of the decoder")


class ModelSettings(Section):
    base: str = Field("cityscribe-tiny", description="folder or hub id of an image-text-to-text model")
    method: Literal["block-expansion", "lora", "full", "connector"] = "block-expansion"
    block_expansion: BlockExpansionSettings = BlockExpansionSettings()
    lora: LoraSettings = LoraSettings()


class TrainSettings(Section):
    images: bool = Field(True, description="false trains a blind model: the same questions without the images")
    epochs: Rate = 1.0
    max_steps: int = Field(0, ge=0, description="stop after so many steps; 0 goes by epochs")
    lr: Rate = 2e-4
    warmup: Fraction = Field(0.03, description="share of the steps in which the rate rises")
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: Rate = 1.0
    batch_groups: Positive = Field(8, description="image groups (all samples of an image) in a step")
    accumulate: Positive = Field(1, description="steps whose gradients are summed before an update")
    share_prefix: bool = Field(True, description="compute what the samples of an image share once (prefix tree)")
    weighting: Literal["token", "sequence", "sqrt-branches"] = "token"
    max_tokens: Positive = Field(2048, description="longest sample, image tokens counted")
    too_long: Literal["error", "skip"] = Field("error", description="what to do with a longer sample; none is ever cut")
    budget_tokens: Positive = Field(4096, description="distinct tokens in one row of trees")
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    gradient_checkpointing: bool = False
    save_steps: Positive = Field(100, description="steps between checkpoints to resume from")
    keep_checkpoints: Positive = 2
    workers: int = Field(0, ge=0, description="processes that load images; 0 loads in the trainer's own")


class PredictSettings(Section):
    split: Literal["val", "test", "train"] = "val"
    order: Literal["vehicle-pedestrian", "pedestrian-vehicle", "independent"] = Field(
        "vehicle-pedestrian", description="section 3.4: the earlier answer stays in the conversation of the later question"
    )
    max_new_tokens: Positive = 256
    batch_size: Positive = 8
    temperature: float = Field(0.0, ge=0, description="0 is greedy")
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    baselines: tuple[Literal["untuned", "blind"], ...] = Field(
        (), description="also predicted and scored: the model before tuning; the same training without images"
    )


class EvaluateSettings(Section):
    profile: Literal["wts"] = "wts"
    references: Path | None = Field(None, description="folder of the references; null takes data.path")
    official_quirks: bool = Field(False, description="leave out what the official evaluator overlooks")


class ReportSettings(Section):
    samples: int = Field(12, ge=0, description="phases shown with images, reference and prediction")


class Settings(Section):
    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="of the run; its folder is runs/NAME")
    runs: Path = Field(Path("runs"), description="folder of the runs")
    seed: int = Field(0, ge=0, lt=2**32)
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    predict: PredictSettings = PredictSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    report: ReportSettings = ReportSettings()

    @property
    def run_dir(self) -> Path:
        return self.runs / self.name
