"""REINFORCE with a leave-one-out baseline (Ahmadian et al. 2024, Eq. 9): an answer against the mean of the others.

The advantage of an answer is its reward less the mean reward of the other answers to the same question, not divided by
anything. An answer counts as one action: the ratio that is clipped is that of whole answers. `beta` adds the distance
from the base to the loss, summed over the tokens of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from cityscribe.train.objectives.objective import Scored
from cityscribe.train.objectives.sampled import SampledObjective

if TYPE_CHECKING:
    from torch import Tensor


class Rloo(SampledObjective):
    """Mean over answers."""

    kind: Literal["rloo"] = "rloo"

    def advantages(self, rewards: Sequence[Sequence[float]]) -> list[list[float]]:
        return [[one - (sum(group) - one) / (len(group) - 1) for one in group] for group in rewards]

    def loss(self, scored: Scored) -> Tensor:
        logprobs, old, _ = self.of_edges(scored)
        if scored.advantages is None:
            raise ValueError("the objective learns from answers that were sampled")
        ratios = scored.by_sample(logprobs - old).exp()
        losses = self.clipped(ratios, scored.advantages.to(ratios.dtype)).sum()
        return losses + self.beta * self.distance(scored, logprobs).sum() if self.beta else losses
