"""Batches of a fixed composition, in which what belongs together stays together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

T = TypeVar("T")

ROWS = 16
"""Requests about one scene that are answered together at most, on average over the scenes of a batch."""


def whole_groups(items: Sequence[T], group_of: Callable[[T], Hashable], size: int) -> list[list[T]]:
    """Batches of `size` groups, in the order of their first items; the items of a group stay together.

    A batch holds ROWS items a group on average; only a group of more than a whole batch is split.
    """
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(group_of(item), []).append(item)
    most = ROWS * size
    batches: list[list[T]] = []
    count = size
    for members in groups.values():
        for start in range(0, len(members), most):
            part = members[start : start + most]
            if count == size or len(batches[-1]) + len(part) > most:
                batches.append([])
                count = 0
            batches[-1] += part
            count += 1
    return batches
