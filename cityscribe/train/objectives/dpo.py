"""Direct preference optimisation (Rafailov et al. 2023): the chosen answer of a pair above the rejected one.

The margin of a pair is how much more the training has raised the chosen answer than the rejected one, both counted
from the reference, the model before the training (Eq. 7):

    beta * ((log pi - log ref)(chosen) - (log pi - log ref)(rejected))

The loss is -log sigmoid(margin). With label smoothing, a share of the labels is taken to be wrong (Mitchell 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from cityscribe.records import Sample
from cityscribe.settings import Rate
from cityscribe.train.objectives.objective import Arrangement, Objective, Scored
from cityscribe.train.objectives.pairs import arrange_pairs

if TYPE_CHECKING:
    from torch import Tensor

    from cityscribe.tree import Forest


class Dpo(Objective):
    """The two answers of a pair are one unit; the loss is the mean over pairs. Only the last answer of each counts."""

    kind: Literal["dpo"] = "dpo"
    beta: Rate = Field(0.1, description="how strongly the training holds to the base")
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.0, description="share of pairs whose answers are taken to be the wrong way round"
    )
    reference: Path | None = Field(
        None, description="reference.parquet of another training of the same base and samples; null computes it"
    )

    answers: ClassVar[Literal["all", "last"]] = "last"
    needs_reference: ClassVar[bool] = True

    def arrange(self, samples: Sequence[Sample]) -> Arrangement:
        return arrange_pairs(samples, self.kind)

    def denominator(self, forests: Sequence[Forest], units: int) -> float:
        return float(units)

    def loss(self, scored: Scored) -> Tensor:
        from torch.nn.functional import logsigmoid

        chosen, rejected = scored.of_units(scored.sums() - scored.reference_sums()).unbind(1)  # [units] each
        margins = self.beta * (chosen - rejected)
        wrong = self.label_smoothing
        return -((1 - wrong) * logsigmoid(margins) + wrong * logsigmoid(-margins)).sum()
