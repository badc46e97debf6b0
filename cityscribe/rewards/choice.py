"""The right option of a question with options: 1 where an answer names it, else 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from cityscribe.letters import read_choice
from cityscribe.records import Sample
from cityscribe.rewards.reward import Reward, reference_answer


class RightChoice(Reward):
    """Answers are read as scores read them. A question without options is worth 0 whatever is said."""

    kind: Literal["choice"] = "choice"

    needs_reference: ClassVar[bool] = True

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        options = sample.meta.options
        right = read_choice(reference_answer(sample), options).letter if options else ""
        return [float(right != "" and read_choice(answer, options).letter == right) for answer in answers]
