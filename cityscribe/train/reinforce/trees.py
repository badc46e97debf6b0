"""Sampled answers as the trees of one update: all answers about the same images hang on one prefix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cityscribe.files import InputError
from cityscribe.tokens.branches import branches_of, merge
from cityscribe.train.collator import MicroBatch
from cityscribe.train.groups import Group, Groups
from cityscribe.train.reinforce.rollouts import Rollout
from cityscribe.train.settings import TrainSettings
from cityscribe.tree import split_branches, weigh


class SampledGroups(Groups):
    """The groups of one update, each the answers to the questions about the same images. They have no outlines: their
    trees are there."""

    def __init__(self, rollouts: Sequence[Sequence[Rollout]], settings: TrainSettings) -> None:
        self._all = [_group(number, own, settings) for number, own in enumerate(rollouts)]
        self.engine_logprobs = [
            [logprobs for rollout in own for logprobs in rollout.logprobs] for own in rollouts
        ]  # of each group, of each answer

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, number):  # type: ignore[no-untyped-def]
        return self._all[number]

    def keep(self, group: Group, inputs: object) -> None:
        """Its groups have what the model takes for their media."""


def with_advantages(micro: MicroBatch, advantages: Sequence[Sequence[float]]) -> MicroBatch:
    """A micro-batch with the advantage of each of its answers, given by group and number in it."""
    values = [advantages[group][number] for group, number in micro.branches]
    return replace(micro, advantages=torch.tensor(values, dtype=torch.float64))


def logprobs_of(micro: MicroBatch, groups: SampledGroups) -> Tensor:
    """The log-probabilities that the engine gave the tokens of a micro-batch, [edges]."""
    values = [value for group, number in micro.branches for value in groups.engine_logprobs[group][number]]
    return torch.tensor(values, dtype=torch.float64)


def _group(number: int, rollouts: Sequence[Rollout], settings: TrainSettings) -> Group:
    answered = [(rollout, rollout.prompt.answered(ids)) for rollout in rollouts for ids in rollout.token_ids]
    conversations = [conversation for _, conversation in answered]
    for rollout, conversation in answered:
        if conversation.length > settings.budget_tokens:
            raise InputError(
                f"{rollout.sample.name}: has {conversation.length} tokens with a sampled answer, train.budget_tokens "
                f"allows {settings.budget_tokens} in a row; raise it, or lower max_completion_length"
            )
    branches, numbers = branches_of(conversations, weigh([each.trained for each in conversations], "token"))
    parts = [[n] for n in range(len(branches))]
    if settings.share_prefix:
        parts = split_branches(branches, settings.budget_tokens)
    forests = [merge([branches[n] for n in part], numbers) for part in parts]
    return Group(
        number=number,
        samples=tuple(rollout.sample for rollout, _ in answered),
        forests=tuple(each.forest for each in forests),
        members=tuple(tuple(part) for part in parts),
        units=tuple((n,) for n in range(len(branches))),
        media=tuple(each.keys for each in forests),
        token_inputs=() if settings.share_prefix else tuple(each.token_inputs for each in conversations),
        inputs={item.key: item.inputs for rollout in rollouts for item in rollout.prompt.media},
    )
