"""Settings of the model and of what is tuned in it: the section `model`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cityscribe.settings import Fraction, Named, Positive, Rate, Section, conflict

ModelPart = Literal[
    "vision_tower",
    "connector",
    "text_decoder",
    "context",
    "global_view",
    "local_views",
    "embeddings",
    "decoder",
    "head",
]
"""The parts of a model; blocks and adapters that a method adds belong to the part that they stand in.

`text_decoder` and `context` are those of a LLaMA-VID: what reads the question, and what makes a token of where that
looks; `global_view` and `local_views` of a SliME: what reads the image as a whole, and what its tiles."""


class BlockExpansionSettings(Section):
    blocks: Positive | None = Field(
        None, description="how many copies are inserted, spread evenly; null takes a fifth of the layers, as 12 of 60"
    )
    deepest: Positive | None = Field(None, description="spread them over this many of the last layers; null takes all")
    positions: tuple[int, ...] | None = Field(
        None, description="insert a copy after each of these layers (counted from 0) instead"
    )

    @model_validator(mode="after")
    def _one_way_to_choose(self) -> BlockExpansionSettings:
        if self.deepest is not None and self.positions is not None:
            raise conflict("give positions or deepest, not both")
        return self


class LoraSettings(Section):
    """Of the methods lora, dora and qlora."""

    rank: Positive = 64
    alpha: Rate = 128.0
    dropout: Fraction = 0.0
    parts: tuple[Literal["decoder", "connector", "vision_tower"], ...] = Field(
        ("decoder",), min_length=1, description="whose linear layers get adapters"
    )
    targets: tuple[str, ...] | None = Field(None, description="names of modules in these parts; null takes all")


class ModelSettings(Section):
    base: str = Field("cityscribe-tiny", description="folder or hub id of an image-text-to-text model")
    tiles: bool = Field(True, description="false feeds LLaVA-NeXT each image whole: it becomes a plain LLaVA")
    stretch: Rate | None = Field(
        None, description="see positions of the decoder so many times nearer to each other, for longer sequences"
    )
    keep_features: Path | None = Field(
        None,
        description="of a model from parts: folder where what its frozen tower makes of images is kept",
    )
    method: Annotated[str, Named("tuning")] = Field(
        "block-expansion", description="none trains nothing: the base answers as it is"
    )
    freeze: tuple[ModelPart, ...] = Field((), description="parts that do not train though the method would train them")
    unfreeze: tuple[ModelPart, ...] = Field(
        (), description="parts that train whole though the method would freeze them"
    )
    block_expansion: BlockExpansionSettings = BlockExpansionSettings()
    lora: LoraSettings = LoraSettings()

    @model_validator(mode="after")
    def _frozen_or_not(self) -> ModelSettings:
        both = sorted(set(self.freeze) & set(self.unfreeze))
        if both:
            raise conflict(f"{both[0]} cannot be in both freeze and unfreeze")
        if not self.tunes and self.unfreeze:
            raise conflict("method none trains nothing, and unfreeze wants to train something")
        return self

    @property
    def tunes(self) -> bool:
        """Whether there is a training at all."""
        return self.method != "none"
