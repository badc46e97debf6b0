"""One update of reinforcement: from rewarded answers to a step of the optimizer, and what is told of it.

The trees of the answers are computed for the model that sampled (where several updates are made of the same answers),
for the base (where its distance counts) and for the update; prompt and images once in each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from cityscribe.files import InputError
from cityscribe.train.checkpoints import changing
from cityscribe.train.collator import Batch, Collator, MicroBatch
from cityscribe.train.objectives.sampled import SampledObjective
from cityscribe.train.offload import offloaded
from cityscribe.train.ready import Ready
from cityscribe.train.reinforce.rollouts import Rollout
from cityscribe.train.reinforce.trees import SampledGroups, logprobs_of, with_advantages
from cityscribe.train.score import score
from cityscribe.train.tree_attention import TreeAttention


class Beginning:
    """What trains, as it was before the first update: with it in its place the model is the base. Of adapters, and of
    inserted blocks, that is little, and the base itself is in memory once."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._values = {name: value.detach().clone() for name, value in changing(model).items()}

    @contextmanager
    def in_place(self, model: PreTrainedModel) -> Iterator[None]:
        """Within it the model is what it began as."""
        now = {name: value.detach().clone() for name, value in changing(model).items()}
        _put(model, self._values)
        try:
            yield
        finally:
            _put(model, now)


def _put(model: PreTrainedModel, values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, target in changing(model).items():
            target.copy_(values[name])


@dataclass(slots=True)
class Told:
    """What is told of one update, in `curve.jsonl`."""

    loss: float = 0.0
    grad_norm: float = 0.0
    reward: float = math.nan  # mean over answers
    reward_spread: float = math.nan  # mean over questions of the standard deviation of their answers
    parts: dict[str, float] = field(default_factory=dict)  # mean of each reward
    length: float = math.nan  # tokens of an answer
    cut: float = math.nan  # share of the answers that were not finished
    kept: float = 0.0  # share of the questions whose answers are worth different things
    entropy: float = math.nan  # nats a token, estimated by what was sampled
    distance: float = math.nan  # from the base, nats a token; not a number where it does not count
    clipped: float = 0.0  # share of the tokens whose likelihood moved further than is allowed, in the last iteration
    sampling_gap: float = math.nan  # largest difference of a token's log-probability when sampled and when trained
    distinct: int = 0  # tokens that are computed
    effective: int = 0  # tokens of the answers with their prompts, one by one

    def line(self) -> dict[str, float]:
        """Its numbers by name; what is not a number is left out."""
        values = {
            "reward": self.reward,
            "reward_spread": self.reward_spread,
            **{f"reward/{name}": value for name, value in self.parts.items()},
            "length": self.length,
            "cut": self.cut,
            "kept": self.kept,
            "entropy": self.entropy,
            "distance": self.distance,
            "clipped": self.clipped,
            "sampling_gap": self.sampling_gap,
        }
        return {name: value for name, value in values.items() if math.isfinite(value)}


class Updates:
    """Makes updates of one training."""

    def __init__(
        self,
        model: PreTrainedModel,
        ready: Ready,
        objective: SampledObjective,
        attention: TreeAttention | None,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self.model, self.ready, self.objective, self.attention = model, ready, objective, attention
        self.optimizer = optimizer
        self.beginning = Beginning(model) if objective.beta else None

    def make(self, step: int, rollouts: Sequence[Sequence[Rollout]]) -> Told:
        """One update, `num_iterations` steps of the optimizer, of the answers of some groups.

        Within `tree_backend`. Questions whose answers are all worth the same are left out; where none is left
        nothing is changed. Raises InputError where loss or gradient is not finite.
        """
        told = _told_of(list(chain(*rollouts)))
        kept = [own for group in rollouts if (own := [rollout for rollout in group if rollout.differs])]
        if not kept:
            return told
        left = iter(self.objective.advantages([rollout.rewards for rollout in chain(*kept)]))
        groups = SampledGroups(kept, self.ready.settings)
        batch = self._batch(groups, [[one for _ in group for one in next(left)] for group in kept])
        told.distinct, told.effective = batch.distinct, batch.effective
        for iteration in range(self.objective.num_iterations):
            self._iterate(step, iteration, batch, groups, told)
        return told

    def _batch(self, groups: SampledGroups, advantages: Sequence[Sequence[float]]) -> Batch:
        """The trees with all that the loss needs of other models."""
        ready = self.ready
        collator = Collator(groups, ready.image_root, ready.encoder, ready.settings, self.attention)
        batch = collator(range(len(groups)))
        micros = [with_advantages(micro, advantages).to(ready.device) for micro in batch.micro_batches]
        if self.objective.num_iterations > 1:
            micros = [replace(m, old=self._edges(m, groups)) for m in micros]
        if self.beginning is not None:
            with self.beginning.in_place(self.model):
                micros = [replace(m, reference=self._edges(m, groups)) for m in micros]
        return replace(batch, micro_batches=micros)

    @torch.no_grad()
    def _edges(self, micro: MicroBatch, groups: SampledGroups) -> Tensor:
        self.model.eval()
        return score(self.model, micro, groups, self.attention, self.ready.dtype, bare=self.model).edges()

    def _iterate(self, step: int, iteration: int, batch: Batch, groups: SampledGroups, told: Told) -> None:
        settings, objective = self.ready.settings, self.objective
        self.model.train()
        total, tokens, entropy, distance, clipped, gap = 0.0, 0, 0.0, 0.0, 0.0, 0.0
        for micro in batch.micro_batches:
            with offloaded(self.model, self.ready.settings.offload_activations):
                scored = score(self.model, micro, groups, self.attention, self.ready.dtype, bare=self.model)
            loss = objective.loss(scored) / batch.denominator
            loss.backward()
            total += float(loss.detach())
            edges = scored.edges().detach()
            tokens += len(edges)
            entropy -= float(edges.sum())
            if scored.reference is not None:
                distance += float(objective.distance(scored, edges).sum())
            if scored.old is not None:
                moved = (edges - scored.old).exp() - 1
                clipped += float(((moved < -objective.epsilon) | (moved > objective.upwards)).sum())
            gap = max(gap, float((edges.double().cpu() - logprobs_of(micro, groups)).abs().max()))
        trains = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        norm = float(torch.nn.utils.clip_grad_norm_(trains, settings.max_grad_norm))
        if not (math.isfinite(total) and math.isfinite(norm)):
            names = ", ".join(dict.fromkeys(sample.name for group in groups for sample in group.samples))
            raise InputError(
                f"the loss or gradient of step {step} is not finite; its samples: {names}; lower train.lr, or look at "
                "these samples"
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        told.loss, told.grad_norm, told.clipped = total, norm, clipped / tokens
        if iteration == 0:
            told.entropy, told.sampling_gap = entropy / tokens, gap
            told.distance = distance / tokens if self.beginning is not None else math.nan


def _told_of(rollouts: Sequence[Rollout]) -> Told:
    """What is told of answers before they are learned from."""
    parts = [part for rollout in rollouts for part in rollout.parts]
    if not parts:
        return Told()
    return Told(
        reward=_mean([one for rollout in rollouts for one in rollout.rewards]),
        reward_spread=_mean([float(np.std(each.rewards, ddof=1)) for each in rollouts if len(each.rewards) > 1]),
        parts={name: _mean([part[name] for part in parts]) for name in parts[0]},
        length=_mean([len(ids) for rollout in rollouts for ids in rollout.token_ids]),
        cut=_mean([one for rollout in rollouts for one in rollout.cut]),
        kept=_mean([rollout.differs for rollout in rollouts]),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
