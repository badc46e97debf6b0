"""Supervised training: the likelihood of each answer, token by token, weighted as `train.weighting` says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from cityscribe.records import Sample
from cityscribe.train.objectives.objective import Arrangement, Objective, Scored

if TYPE_CHECKING:
    from torch import Tensor

    from cityscribe.tree import Forest


class Supervised(Objective):
    """Every sample is a unit of its own. Rejected answers of pairs are left out."""

    kind: Literal["supervised"] = "supervised"

    def arrange(self, samples: Sequence[Sample]) -> Arrangement:
        rejected = [number for number, sample in enumerate(samples) if sample.rejected]
        return Arrangement(
            tuple((number,) for number, sample in enumerate(samples) if not sample.rejected),
            tuple((number, "a rejected answer") for number in rejected),
        )

    def denominator(self, forests: Sequence[Forest], units: int) -> float:
        return float(sum(forest.edge_weight.sum() for forest in forests))

    def loss(self, scored: Scored) -> Tensor:
        return -(scored.logprobs * scored.rows.weights).sum()
