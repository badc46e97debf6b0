"""A reward model: the chosen answer of a pair is worth more than the rejected one (Ouyang et al. 2022, Eq. 1).

A head that gives one number reads the last token of an answer. With r of both answers, the loss of a pair is

    -log sigmoid(r(chosen) - r(rejected)) + center (r(chosen) + r(rejected))^2

whose second part keeps rewards around zero. Fact-RLHF (Sun et al. 2023) lets the model read what is known beside the
question: `pairs.facts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from cityscribe.train.objectives.dpo import preference_loss
from cityscribe.train.objectives.objective import Scored
from cityscribe.train.objectives.pairs import PairObjective

if TYPE_CHECKING:
    from torch import Tensor


class RewardModel(PairObjective):
    """The mean over pairs."""

    kind: Literal["reward"] = "reward"
    center: float = Field(0.0, ge=0, allow_inf_nan=False, description="weight of what keeps rewards around zero")

    head: ClassVar[Literal["vocabulary", "reward"]] = "reward"

    def loss(self, scored: Scored) -> Tensor:
        chosen, rejected = scored.of_units(scored.last(scored.edges())).unbind(1)
        return (preference_loss(chosen - rejected) + self.center * (chosen + rejected).square()).sum()
