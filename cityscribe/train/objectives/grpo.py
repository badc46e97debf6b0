"""Group relative policy optimisation (Shao et al. 2024, DeepSeekMath, Eq. 3): answers against those beside them.

The advantage of an answer is its reward less the mean of the answers to the same question, divided by their spread. The
loss of a token is the clipped ratio of its likelihoods times that, and `beta` times the distance from the base.

`loss_type` says what long answers count: `grpo` each answer the same, however long (its tokens are averaged);
`dapo` each token the same (Yu et al. 2025); `dr_grpo` each token the same, divided by the longest that there may be
(Liu et al. 2025), which, with `scale_rewards: none`, has no bias towards long wrong or short right answers.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from cityscribe.train.objectives.objective import Scored
from cityscribe.train.objectives.sampled import SampledObjective

if TYPE_CHECKING:
    from torch import Tensor

    from cityscribe.tree import Forest

SMALLEST_SPREAD = 1e-4
"""Added to a spread of rewards before it divides, as by TRL."""


class Grpo(SampledObjective):
    """Mean over answers or tokens, as `loss_type` says."""

    kind: Literal["grpo"] = "grpo"
    loss_type: Literal["grpo", "dapo", "dr_grpo"] = Field("grpo", description="what long answers count")
    scale_rewards: Literal["group", "batch", "none"] = Field(
        "group",
        description="what advantages are divided by: the spread in a question, in an update, or nothing",
    )

    def advantages(self, rewards: Sequence[Sequence[float]]) -> list[list[float]]:
        spread = statistics.stdev([one for group in rewards for one in group]) + SMALLEST_SPREAD
        found = []
        for group in rewards:
            mean = statistics.fmean(group)
            by = {"group": statistics.stdev(group) + SMALLEST_SPREAD, "batch": spread, "none": 1.0}[self.scale_rewards]
            found.append([(one - mean) / by for one in group])
        return found

    def denominator(self, forests: Sequence[Forest], units: int) -> float:
        if self.loss_type == "dapo":
            return float(sum(len(forest.edge_token) for forest in forests))
        answers = float(sum(forest.branches for forest in forests))
        return answers * self.max_completion_length if self.loss_type == "dr_grpo" else answers

    def loss(self, scored: Scored) -> Tensor:
        logprobs, old, advantages = self.of_edges(scored)
        losses = self.clipped((logprobs - old).exp(), advantages)
        if self.beta:
            losses = losses + self.beta * self.distance(scored, logprobs)
        if self.loss_type == "grpo":
            losses = losses / scored.lengths().index_select(0, scored.rows.edge_branch)
        return losses.sum()
