"""Preference distillation: DPO whose reference is the teacher (Shu et al. 2024, LLaVA-MoD, its third stage).

    -log sigmoid(beta * ((log pi - log teacher)(chosen) - (log pi - log teacher)(rejected)))

A student that gives both answers what the teacher gives them has a margin of 0; it is to tell them apart more clearly
than the teacher does. The published beta is 0.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from cityscribe.settings import Rate
from cityscribe.train.objectives.dpo import preference_loss
from cityscribe.train.objectives.objective import Scored, Taught
from cityscribe.train.objectives.pairs import PairObjective

if TYPE_CHECKING:
    from torch import Tensor


class TeacherPreference(Taught, PairObjective):
    """The two answers of a pair are one unit; the loss is the mean over pairs. Only the last answer of each counts."""

    kind: Literal["teacher-preference"] = "teacher-preference"
    beta: Rate = Field(0.1, description="how strongly the training holds to the teacher")
    likeliest: int = Field(1, ge=0, description="tokens stored one by one; this objective reads the answers' own only")

    def loss(self, scored: Scored) -> Tensor:
        chosen, rejected = scored.of_units(scored.sums() - scored.teacher_sums()).unbind(1)  # [units] each
        return preference_loss(self.beta * (chosen - rejected)).sum()
