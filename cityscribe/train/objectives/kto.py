"""Kahneman-Tversky optimisation (Ethayarajh et al. 2024, Eq. 8): answers that are good or bad, without pairs.

With r = log pi - log ref of an answer and z a reference point that has no gradient:

    desirable_weight (1 - sigmoid(beta (r - z)))       of an answer that is wanted
    undesirable_weight (1 - sigmoid(beta (z - r)))     of one that is not

The paper takes for z how far the model is from the base, estimated in each batch by answers to other questions. A loss
would then depend on what else is in its batch. Here the answers about the same images, which are computed together
anyway, are a unit, and z is the mean of their r, zero where that is negative; or it is always zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from cityscribe.files import InputError
from cityscribe.records import Sample
from cityscribe.settings import Rate
from cityscribe.train.objectives.dpo import REFERENCE
from cityscribe.train.objectives.objective import Arrangement, Objective, Scored

if TYPE_CHECKING:
    from torch import Tensor

    from cityscribe.tree import Forest


class Kto(Objective):
    """Mean over answers. Rejected answers are unwanted, all others wanted."""

    kind: Literal["kto"] = "kto"
    beta: Rate = Field(0.1, description="how strongly the training holds to the base")
    desirable_weight: Rate = Field(1.0, description="of answers that are wanted")
    undesirable_weight: Rate = Field(1.0, description="of answers that are not")
    reference_point: Literal["group", "zero"] = Field(
        "group", description="what gains are counted from: the mean of the answers about the same images, or zero"
    )
    reference: Path | None = Field(None, description=REFERENCE)

    answers: ClassVar[Literal["all", "last"]] = "last"
    needs_reference: ClassVar[bool] = True

    def arrange(self, samples: Sequence[Sample]) -> Arrangement:
        if not any(sample.rejected for sample in samples):
            raise InputError(
                f"train.objective {self.kind}: none of {len(samples)} samples has a rejected answer; "
                "it learns from wanted and unwanted ones"
            )
        units: dict[str, list[int]] = {}
        for number, sample in enumerate(samples):
            units.setdefault(sample.group, []).append(number)
        return Arrangement(tuple(map(tuple, units.values())))

    def denominator(self, forests: Sequence[Forest], units: int) -> float:
        return float(sum(forest.branches for forest in forests))

    def loss(self, scored: Scored) -> Tensor:
        import torch

        raised = scored.sums() - scored.reference_sums()
        total = raised.new_zeros(())
        for unit in scored.units:
            own = raised[list(unit)]
            point = own.detach().mean().clamp(min=0) if self.reference_point == "group" else 0.0
            wanted = torch.tensor([not scored.samples[branch].rejected for branch in unit], device=own.device)
            gains = torch.where(wanted, own - point, point - own)
            weights = torch.where(wanted, self.desirable_weight, self.undesirable_weight)
            total = total + (weights * (1 - torch.sigmoid(self.beta * gains))).sum()
        return total
