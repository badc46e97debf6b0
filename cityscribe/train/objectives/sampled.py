"""Objectives of reinforcement: the model answers, rewards say what its answers are worth, and it learns from that.

`reinforce` (cityscribe.train.reinforce) samples and rewards; an objective turns the rewards of the answers to one
question into advantages, and the log-probabilities of their tokens into a loss. Settings have the names of the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from cityscribe.files import InputError
from cityscribe.records import Sample
from cityscribe.rewards.reward import Reward, check_names
from cityscribe.settings import OneOf, Positive, Rate
from cityscribe.train.objectives.objective import Arrangement, Objective, Scored

if TYPE_CHECKING:
    from torch import Tensor

    from cityscribe.tree import Forest


class SampledObjective(Objective):
    """Its samples are questions; what it learns from are answers that are sampled as it goes."""

    kind: str
    rewards: tuple[Annotated[Reward, OneOf("reward")], ...] = Field(
        (), description="what answers are worth, each `{kind: ..., weight: ...}`; their weighted sum counts"
    )
    num_generations: int = Field(8, ge=2, description="answers that are sampled to each question")
    max_completion_length: Positive = Field(256, description="tokens of an answer; a longer one is cut")
    temperature: Rate = Field(1.0, description="of the sampling; at any but 1 the model learns of another's answers")
    kinds: tuple[str, ...] = Field((), description="kinds of samples that are asked, such as [long]; empty: all")
    beta: float = Field(0.0, ge=0, allow_inf_nan=False, description="weight of the distance from the base (KL)")
    epsilon: Rate = Field(0.2, description="how far a likelihood may move by updates on the same answers, as a share")
    epsilon_high: Rate | None = Field(None, description="the same upwards; null takes epsilon")
    num_iterations: Positive = Field(1, description="updates on the same answers")

    answers: ClassVar[Literal["all", "last"]] = "last"
    samples_answers: ClassVar[bool] = True

    @property
    def upwards(self) -> float:
        """How far a likelihood may rise, as a share."""
        return self.epsilon if self.epsilon_high is None else self.epsilon_high

    def arrange(self, samples: Sequence[Sample]) -> Arrangement:
        """Each question by itself. Raises InputError where there is none, or no reward."""
        if not self.rewards:
            raise InputError(f"train.objective {self.name}: rewards: name at least one, such as [{{kind: length}}]")
        check_names(self.rewards, f"train.objective {self.name}: rewards")
        wanted = {n for n, sample in enumerate(samples) if not self.kinds or sample.meta.kind in self.kinds}
        asked = [n for n, sample in enumerate(samples) if n in wanted and not sample.rejected]
        if not asked:
            raise InputError(
                f"train.objective {self.name}: none of {len(samples)} samples is a question of the kinds "
                f"{', '.join(self.kinds) or 'that are asked'}"
            )
        left_out = [
            (n, "a rejected answer" if sample.rejected else f"of the kind {sample.meta.kind}")
            for n, sample in enumerate(samples)
            if sample.rejected or n not in wanted
        ]
        return Arrangement(tuple((n,) for n in asked), tuple(left_out))

    def advantages(self, rewards: Sequence[Sequence[float]]) -> list[list[float]]:
        """What each answer of each question counts, from the rewards of all answers of one update."""
        raise NotImplementedError

    def denominator(self, forests: Sequence[Forest], units: int) -> float:
        return float(sum(forest.branches for forest in forests))

    def of_edges(self, scored: Scored) -> tuple[Tensor, Tensor, Tensor]:
        """Of each trained token, [edges]: its log-probability, that of the model that sampled it, and the advantage of
        its answer."""
        if scored.advantages is None:
            raise ValueError("the objective learns from answers that were sampled")
        logprobs = scored.edges()
        old = logprobs.detach() if scored.old is None else scored.old.to(logprobs.dtype)
        advantages = scored.advantages.to(logprobs.dtype).index_select(0, scored.rows.edge_branch)
        return logprobs, old, advantages

    def clipped(self, ratios: Tensor, advantages: Tensor) -> Tensor:
        """The loss of ratios of likelihoods now and when they were sampled, clipped where they have moved far (PPO,
        Schulman et al. 2017, Eq. 7)."""
        import torch

        return -torch.minimum(ratios * advantages, ratios.clamp(1 - self.epsilon, 1 + self.upwards) * advantages)

    def distance(self, scored: Scored, logprobs: Tensor) -> Tensor:
        """The distance from the base at each token, [edges], as its unbiased estimate that is never negative
        (DeepSeekMath, Shao et al. 2024, Eq. 4)."""
        difference = scored.reference_edges() - logprobs
        return difference.exp() - difference - 1
