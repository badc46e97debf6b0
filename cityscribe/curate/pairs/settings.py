"""Settings of what is made of the samples before they are trained on: the section `pairs`."""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import Field

from cityscribe.curate.pairs.builder import PairBuilder
from cityscribe.settings import OneOf, Positive, Section


class PairSettings(Section):
    builder: Annotated[PairBuilder, OneOf("pair-builder")] = Field(
        cast(PairBuilder, {}),  # the first member, which makes none
        description="where chosen and rejected answers come from; the model of `model.base` is the one that is asked",
    )
    kinds: tuple[str, ...] = Field(("long", "chat"), description="kinds of samples that pairs are made of; empty: all")
    most: int = Field(
        0,
        ge=0,
        description="image groups (samples of an image) that pairs are made of, drawn by the seed; 0 takes all",
    )
    keep: bool = Field(False, description="whether the samples stay beside the pairs, as supervised training wants")
    facts: bool = Field(
        False,
        description="whether the questions of pairs tell the reference as what is known, for a reward model that reads "
        "it; with pairs whose chosen answer is another one",
    )
    max_new_tokens: Positive = 256
    batch_size: Positive = Field(8, description="scenes answered together")
