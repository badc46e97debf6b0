"""DPO by the token: each answer counts by the mean over its tokens, so that a long one is not pushed harder.

    -log sigmoid(beta * ((log pi - log ref)(chosen) / tokens - (log pi - log ref)(rejected) / tokens))

The form of Tulu 3 (Lambert et al. 2024, section 5.1.2). Scale and meaning of `beta` are others than DPO's: it
multiplies nats a token.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from cityscribe.settings import Rate
from cityscribe.train.objectives.dpo import REFERENCE, preference_loss
from cityscribe.train.objectives.objective import Scored
from cityscribe.train.objectives.pairs import PairObjective

if TYPE_CHECKING:
    from torch import Tensor


class LengthNormalisedDpo(PairObjective):
    """Mean over pairs of -log sigmoid of the margin a token."""

    kind: Literal["length-normalised-dpo"] = "length-normalised-dpo"
    beta: Rate = Field(5.0, description="how strongly the training holds to the base; of nats a token")
    reference: Path | None = Field(None, description=REFERENCE)

    needs_reference: ClassVar[bool] = True

    def loss(self, scored: Scored) -> Tensor:
        raised = (scored.sums() - scored.reference_sums()) / scored.lengths()
        chosen, rejected = scored.of_units(raised).unbind(1)
        return preference_loss(self.beta * (chosen - rejected)).sum()
