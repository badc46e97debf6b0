"""Settings of the training: the section `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import Field, model_validator

from cityscribe.models.settings import ModelPart
from cityscribe.settings import Fraction, Named, OneOf, Positive, Rate, Section, conflict
from cityscribe.train.objectives.objective import Objective


class ValidationSettings(Section):
    every: int = Field(0, ge=0, description="steps between looks at the loss on `val`; 0 never looks")
    groups: Positive = Field(64, description="how many image groups of `val` are looked at, spread evenly")
    keep: Literal["last", "best"] = Field("last", description="which weights the model ends with")
    patience: int = Field(0, ge=0, description="end after so many looks without a better one; 0 goes on to the end")


class TrainSettings(Section):
    objective: Annotated[Objective, OneOf("objective")] = Field(
        cast(Objective, {}),  # the first member with its defaults, once it is checked
        description="what the training minimises",
    )
    images: bool = Field(True, description="false trains a blind model: the same questions without the images")
    epochs: Rate = 1.0
    max_steps: int = Field(0, ge=0, description="stop after so many steps; 0 goes by epochs")
    lr: Rate = 2e-4
    lr_scales: dict[ModelPart, Rate] = Field({}, description="factors on the rate of parts, such as {connector: 0.1}")
    alternate: tuple[ModelPart, ...] = Field(
        (), description="parts that train in turns, an update each, such as [global_view, local_views] of a SliME"
    )
    warmup: Fraction = Field(0.03, description="share of the steps in which the rate rises")
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: Rate = 1.0
    batch_groups: Positive = Field(8, description="image groups (all samples of an image) in a step, on all processes")
    batching: Literal["shuffled", "similar-length"] = Field(
        "shuffled", description="similar-length: groups of a step have about as many tokens, so that no process waits"
    )
    accumulate: Positive = Field(1, description="steps whose gradients are summed before an update")
    share_prefix: bool = Field(True, description="compute what the samples of an image share once (prefix tree)")
    weighting: Literal["token", "sequence", "sqrt-branches"] = "token"
    max_tokens: Positive = Field(2048, description="longest sample, image tokens counted")
    too_long: Literal["error", "skip"] = Field("error", description="what to do with a longer sample; none is ever cut")
    budget_tokens: Positive = Field(4096, description="distinct tokens in one row of trees")
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    gradient_checkpointing: bool = False
    offload_activations: bool = Field(
        False, description="keep what checkpointed layers read in main memory, for contexts too long for a GPU"
    )
    save_steps: Positive = Field(100, description="steps between checkpoints to resume from")
    keep_checkpoints: Positive = 2
    workers: int = Field(0, ge=0, description="processes that load images; 0 loads in the trainer's own")
    distributed: Literal["auto", "ddp", "fsdp2", "deepspeed"] = Field(
        "auto",
        description="how the processes of torchrun share the work; auto: deepspeed if that is set, else ddp, a whole "
        "model each",
    )
    deepspeed: Path | None = Field(None, description="JSON file of DeepSpeed; null takes ZeRO-3 as it comes with us")
    validation: ValidationSettings = ValidationSettings()
    report_to: Annotated[str, Named("reporter", also=("none",))] = Field(
        "none", description="where the curves go beside curve.jsonl"
    )

    @model_validator(mode="after")
    def _one_way_to_share(self) -> TrainSettings:
        if self.deepspeed is not None and self.distributed not in ("auto", "deepspeed"):
            raise conflict("train.deepspeed and train.distributed contradict each other")
        return self

    @model_validator(mode="after")
    def _turns_of_several(self) -> TrainSettings:
        if self.alternate and len(set(self.alternate)) < max(len(self.alternate), 2):
            raise conflict("train.alternate: expected two parts or more, each once")
        if self.alternate and (self.distributed == "deepspeed" or self.deepspeed is not None):
            raise conflict("train.alternate: DeepSpeed keeps gradients to itself; take ddp or fsdp2")
        return self

    @model_validator(mode="after")
    def _what_layers_read_moves(self) -> TrainSettings:
        if self.offload_activations and not self.gradient_checkpointing:
            raise conflict("train.offload_activations moves what checkpointed layers read; set gradient_checkpointing")
        return self


UNRELATED_TO_WEIGHTS = (
    "save_steps",
    "keep_checkpoints",
    "workers",
    "distributed",
    "deepspeed",
    "offload_activations",
    "report_to",
)
"""Settings of training that may change when it goes on: up to rounding, what it ends with does not depend on them."""

BEST = "best"
"""The folder of the weights of the best looks at `val`, in that of a training."""
