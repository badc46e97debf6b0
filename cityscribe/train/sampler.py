"""Which groups a step computes, and which process computes which of them.

A step has the same groups whatever the number of processes, so that a training is the same training on one and on
many. Every group is computed once an epoch: none is left out to make the numbers even, and none is computed twice. A
process that there is no group for gets an empty list.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

WINDOW = 50
"""So many batches are ordered by length at a time, where groups of similar length are wanted: random enough."""


class GroupSampler:
    """Batches of group numbers, shuffled anew each epoch; the order follows from the seed and the epoch alone.

    `lengths` are the distinct tokens of the groups. Yields this process's share of each batch.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_groups: int,
        seed: int,
        *,
        batching: Literal["shuffled", "similar-length"] = "shuffled",
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.lengths = lengths
        self.batch_size = batch_groups
        self.seed = seed
        self.batching = batching
        self.rank = rank
        self.processes = processes
        self.epoch = 0
        self.drop_last = False

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches():
            yield batch if self.processes == 1 else share_out(batch, self.lengths, self.processes)[self.rank]

    def batches(self) -> list[list[int]]:
        """All batches of the epoch, whole."""
        random = np.random.default_rng([self.seed, self.epoch])
        order: list[int] = random.permutation(len(self.lengths)).tolist()
        if self.batching == "similar-length":
            size = WINDOW * self.batch_size
            windows = [order[start : start + size] for start in range(0, len(order), size)]
            order = [n for window in windows for n in sorted(window, key=lambda n: self.lengths[n])]
        batches = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        if self.batching == "similar-length":
            batches = [batches[place] for place in random.permutation(len(batches))]
        return batches


def share_out(batch: Sequence[int], lengths: Sequence[int], processes: int) -> list[list[int]]:
    """Divide the groups of a batch so that processes get about equal tokens: the longest first, to who has least."""
    shares: list[list[int]] = [[] for _ in range(processes)]
    loads = [0] * processes
    for number in sorted(batch, key=lambda n: (-lengths[n], n)):
        least = loads.index(min(loads))
        shares[least].append(number)
        loads[least] += lengths[number]
    return shares
