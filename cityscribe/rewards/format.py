"""An answer in the form of a pattern: 1 where all of it matches, else 0."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator

from cityscribe.records import Sample
from cityscribe.rewards.reward import Reward
from cityscribe.settings import conflict


class Format(Reward):
    kind: Literal["format"] = "format"
    pattern: str = Field(r".+[.!?]", description="a regular expression that all of the answer matches; . is any sign")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern, re.DOTALL)
        except re.error as error:
            raise conflict(f"is no regular expression: {error}") from error
        return pattern

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        return [float(re.fullmatch(self.pattern, answer.strip(), re.DOTALL) is not None) for answer in answers]
