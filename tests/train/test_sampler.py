"""The groups of a step do not depend on how many processes there are, and none is left out or computed twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.train.sampler import GroupSampler, share_out

LENGTHS = st.lists(st.integers(1, 5000), min_size=1, max_size=40)


@given(
    LENGTHS, st.integers(1, 9), st.integers(1, 5), st.integers(0, 9), st.sampled_from(["shuffled", "similar-length"])
)
def test_processes_together_compute_every_group_once_and_in_the_steps_of_one(
    lengths: list[int], batch: int, processes: int, epoch: int, batching: Any
) -> None:
    whole = GroupSampler(lengths, batch, 7, batching=batching)
    parts = [GroupSampler(lengths, batch, 7, batching=batching, rank=r, processes=processes) for r in range(processes)]
    for sampler in (whole, *parts):
        sampler.set_epoch(epoch)
    steps = list(whole)
    assert len(steps) == len(whole)
    assert sorted(number for step in steps for number in step) == list(range(len(lengths)))
    for step, *shares in zip(steps, *parts, strict=True):
        assert sorted(step) == sorted(number for share in shares for number in share)


@given(LENGTHS, st.integers(1, 6))
def test_shares_differ_by_no_more_than_one_group(lengths: list[int], processes: int) -> None:
    shares = share_out(range(len(lengths)), lengths, processes)
    loads = [sum(lengths[number] for number in share) for share in shares]
    assert max(loads) - min(loads) <= max(lengths)


def test_the_order_of_groups_follows_from_seed_and_epoch() -> None:
    sampler = GroupSampler([1] * 10, 4, seed=3)
    first = list(sampler)
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert list(GroupSampler([1] * 10, 4, seed=4)) != first


@pytest.mark.parametrize("epoch", [0, 1])
def test_similar_lengths_stand_in_one_step_and_steps_are_shuffled(epoch: int) -> None:
    lengths = [100 + 37 * number % 1000 for number in range(200)]
    sampler = GroupSampler(lengths, 4, seed=0, batching="similar-length")
    sampler.set_epoch(epoch)
    spans = [max(lengths[n] for n in step) - min(lengths[n] for n in step) for step in sampler]
    assert sum(spans) / len(spans) < 50
    means = [sum(lengths[n] for n in step) for step in sampler]
    assert means != sorted(means)
