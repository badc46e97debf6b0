"""Preference distillation: DPO whose reference is the teacher (Shu et al. 2024, LLaVA-MoD, its third stage).

    -log sigmoid(beta * ((log pi - log teacher)(chosen) - (log pi - log teacher)(rejected)))

A student that gives both answers what the teacher gives them has a margin of 0; it is to tell them apart more clearly
than the teacher does. The published beta is 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from cityscribe.records import Sample
from cityscribe.settings import Rate
from cityscribe.train.objectives.objective import Arrangement, Scored, Taught
from cityscribe.train.objectives.pairs import arrange_pairs

if TYPE_CHECKING:
    from torch import Tensor

    from cityscribe.tree import Forest


class TeacherPreference(Taught):
    """The two answers of a pair are one unit; the loss is the mean over pairs. Only the last answer of each counts."""

    kind: Literal["teacher-preference"] = "teacher-preference"
    beta: Rate = Field(0.1, description="how strongly the training holds to the teacher")
    likeliest: int = Field(1, ge=0, description="tokens stored one by one; this objective reads the answers' own only")

    answers: ClassVar[Literal["all", "last"]] = "last"

    def arrange(self, samples: Sequence[Sample]) -> Arrangement:
        return arrange_pairs(samples, self.kind)

    def denominator(self, forests: Sequence[Forest], units: int) -> float:
        return float(units)

    def loss(self, scored: Scored) -> Tensor:
        from torch.nn.functional import logsigmoid

        chosen, rejected = scored.of_units(scored.sums() - scored.teacher_sums()).unbind(1)  # [units] each
        return -logsigmoid(self.beta * (chosen - rejected)).sum()
