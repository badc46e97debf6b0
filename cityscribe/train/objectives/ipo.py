"""Identity preference optimisation (Azar et al. 2023, Eq. 17): the margin of a pair is drawn to a fixed distance.

DPO's loss goes on falling for ever as a margin grows; here a margin beyond the distance costs as one short of it:

    ((log pi - log ref)(chosen) - (log pi - log ref)(rejected) - 1 / (2 beta)) ** 2
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from cityscribe.settings import Rate
from cityscribe.train.objectives.dpo import REFERENCE
from cityscribe.train.objectives.objective import Scored
from cityscribe.train.objectives.pairs import PairObjective

if TYPE_CHECKING:
    from torch import Tensor


class Ipo(PairObjective):
    """Mean over pairs of the squared distance of the margin from 1 / (2 beta)."""

    kind: Literal["ipo"] = "ipo"
    beta: Rate = Field(0.1, description="the margin is drawn to 1 / (2 beta) nats")
    per_token: bool = Field(
        False, description="count each answer by the mean of its tokens, as TRL does, instead of their sum"
    )
    reference: Path | None = Field(None, description=REFERENCE)

    needs_reference: ClassVar[bool] = True

    def loss(self, scored: Scored) -> Tensor:
        raised = scored.sums() - scored.reference_sums()
        chosen, rejected = scored.of_units(raised / scored.lengths() if self.per_token else raised).unbind(1)
        return ((chosen - rejected - 1 / (2 * self.beta)) ** 2).sum()
