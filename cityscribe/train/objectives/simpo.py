"""Simple preference optimisation (Meng et al. 2024, Eq. 6): likelihoods by the token, a margin, and no reference.

-log sigmoid(beta * (log pi(chosen) / tokens - log pi(rejected) / tokens) - gamma)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from cityscribe.settings import Rate
from cityscribe.train.objectives.dpo import preference_loss
from cityscribe.train.objectives.objective import Scored
from cityscribe.train.objectives.pairs import PairObjective

if TYPE_CHECKING:
    from torch import Tensor


class SimPo(PairObjective):
    """Mean over pairs; an answer counts by the mean log-probability of its tokens."""

    kind: Literal["simpo"] = "simpo"
    beta: Rate = Field(2.0, description="scale of the difference of two answers, each in nats a token")
    gamma: float = Field(1.0, ge=0, allow_inf_nan=False, description="margin by which the chosen answer is to lead")

    def loss(self, scored: Scored) -> Tensor:
        chosen, rejected = scored.of_units(scored.sums() / scored.lengths()).unbind(1)
        return preference_loss(self.beta * (chosen - rejected) - self.gamma).sum()
