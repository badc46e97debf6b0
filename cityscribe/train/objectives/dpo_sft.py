"""DPO with a supervised term: the chosen answer stays likely while it is set apart from the rejected one.

    -log sigmoid(margin of DPO) - sft_weight * log pi(chosen) / tokens of the chosen

The sum of the sigmoid loss and the supervised loss of MPO (Wang et al. 2024, Eq. 1, without its quality loss), which is
RPO's (Pang et al. 2024, Eq. 1). DPO alone lets both likelihoods of a pair fall as long as their distance grows.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from cityscribe.settings import Rate
from cityscribe.train.objectives.dpo import REFERENCE, preference_loss
from cityscribe.train.objectives.objective import Scored
from cityscribe.train.objectives.pairs import PairObjective, raised

if TYPE_CHECKING:
    from torch import Tensor


class DpoSft(PairObjective):
    """Mean over pairs of the loss of DPO and the loss a token of the chosen answer."""

    kind: Literal["dpo-sft"] = "dpo-sft"
    beta: Rate = Field(0.1, description="how strongly the training holds to the base")
    sft_weight: Rate = Field(1.0, description="of the loss a token of the chosen answer")
    reference: Path | None = Field(None, description=REFERENCE)

    needs_reference: ClassVar[bool] = True

    def loss(self, scored: Scored) -> Tensor:
        chosen, rejected = raised(scored)
        likelihood, _ = scored.of_units(scored.sums() / scored.lengths()).unbind(1)
        return (preference_loss(self.beta * (chosen - rejected)) - self.sft_weight * likelihood).sum()
