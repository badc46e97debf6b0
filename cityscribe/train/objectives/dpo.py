"""Direct preference optimisation (Rafailov et al. 2023): the chosen answer of a pair above the rejected one.

The margin of a pair is how much more the training has raised the chosen answer than the rejected one, both counted
from the reference, the model before the training (Eq. 7):

    beta * ((log pi - log ref)(chosen) - (log pi - log ref)(rejected))

The loss is -log sigmoid(margin). With label smoothing, a share of the labels is taken to be wrong (Mitchell 2023).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from cityscribe.settings import Rate
from cityscribe.train.objectives.objective import Scored
from cityscribe.train.objectives.pairs import PairObjective, raised

if TYPE_CHECKING:
    from torch import Tensor

REFERENCE = "reference.parquet of another training of the same base and samples; null computes it"


class Dpo(PairObjective):
    """Mean over pairs of -log sigmoid of the margin."""

    kind: Literal["dpo"] = "dpo"
    beta: Rate = Field(0.1, description="how strongly the training holds to the base")
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.0, description="share of pairs whose answers are taken to be the wrong way round"
    )
    reference: Path | None = Field(None, description=REFERENCE)

    needs_reference: ClassVar[bool] = True

    def loss(self, scored: Scored) -> Tensor:
        chosen, rejected = raised(scored)
        return preference_loss(self.beta * (chosen - rejected), self.label_smoothing).sum()


def preference_loss(margins: Tensor, wrong: float = 0.0) -> Tensor:
    """-log sigmoid of each margin, where a share `wrong` of the pairs is taken to be the wrong way round."""
    from torch.nn.functional import logsigmoid

    return -((1 - wrong) * logsigmoid(margins) + wrong * logsigmoid(-margins))
