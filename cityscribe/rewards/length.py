"""An answer of as many words as are wanted: 1 within the bounds, falling to 0 at none, and at twice as many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from cityscribe.records import Sample
from cityscribe.rewards.reward import Reward
from cityscribe.settings import Positive


class Length(Reward):
    kind: Literal["length"] = "length"
    least: int = Field(0, ge=0, description="words; fewer are worth less in proportion")
    most: Positive = Field(120, description="words; twice as many are worth nothing")

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        counts = [len(answer.split()) for answer in answers]
        return [min(n / self.least if self.least else 1.0, 1.0, max(2 - n / self.most, 0.0)) for n in counts]
