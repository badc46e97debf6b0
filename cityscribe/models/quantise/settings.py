"""Settings of weights in a few bits: the section `quantise`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cityscribe.settings import Named, Positive, Section


class QuantiseSettings(Section):
    bits: Literal[0, 4, 8] = Field(0, description="of each weight of the decoder of the tuned model; 0 rounds nothing")
    method: Annotated[str, Named("quantiser")] = "awq"
    group: Positive | None = Field(None, description="weights that share a scale in four bits; null takes what fits")
    groups: Positive = Field(32, description="image groups of `train` that calibrate")

    @property
    def packs(self) -> bool:
        return self.bits > 0
