"""Encoded conversations as branches of a prefix tree: shared where token, position, inputs and content key agree.

A model takes its media one after the other, in the order of their placeholders in the row. In a tree, which is laid out
depth first, the placeholders of an item therefore have to stand together. They do where branches part before an item or
behind it. Where they part within one (text that differs between two images that only count as a whole), each branch
gets an item of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cityscribe.tokens.encode import Encoded
from cityscribe.tree import Branch, Forest, build_forest


@dataclass(frozen=True, slots=True, eq=False)
class MediaNumbers:
    """The media of some conversations, numbered through: placeholder n of item k is `first[k] + n`."""

    keys: tuple[bytes, ...]  # the content key of each item
    first: np.ndarray  # [items + 1], the last one is the number of all placeholders


@dataclass(frozen=True, slots=True, eq=False)
class MediaForest:
    """A forest, and the content keys of its media in the order of their placeholders."""

    forest: Forest
    keys: tuple[bytes, ...]


def branches_of(conversations: Sequence[Encoded], weights: Sequence[np.ndarray]) -> tuple[list[Branch], MediaNumbers]:
    """Conversations as branches, with the weights [length] of their tokens, and what the numbers of media in them mean.

    Numbers are equal exactly where content key and place in the item are.
    """
    first: dict[tuple[bytes, int], int] = {}
    total = 0
    branches = []
    for conversation, share in zip(conversations, weights, strict=True):
        numbers = np.full(conversation.length, -1, dtype=np.int64)
        for index, item in enumerate(conversation.media):
            places = np.flatnonzero(conversation.media_ids == index)
            start = first.setdefault((item.key, len(places)), total)
            total = max(total, start + len(places))
            numbers[places] = start + np.arange(len(places))
        inputs = [conversation.token_inputs[name] for name in sorted(conversation.token_inputs)]
        beside = np.stack(inputs) if inputs else None
        branches.append(Branch(conversation.input_ids, conversation.position_ids, share, numbers, beside))
    return branches, MediaNumbers(tuple(key for key, _ in first), np.array([*first.values(), total]))


def merge(branches: Sequence[Branch], numbers: MediaNumbers) -> MediaForest:
    """One forest of branches, in which the placeholders of each item stand together."""
    own = list(branches)
    placeholders = int(numbers.first[-1])
    for _ in range(len(numbers.keys) + 1):
        forest = build_forest(own)
        items, torn = _items(forest.media_ids[forest.media_ids >= 0], numbers.first)
        if torn is None:
            return MediaForest(forest, tuple(numbers.keys[item] for item in items))
        start, end = numbers.first[torn : torn + 2]
        for n, branch in enumerate(own):
            torn_places = (branch.media_ids >= start) & (branch.media_ids < end)
            if torn_places.any():
                own[n] = replace(branch, media_ids=branch.media_ids + torn_places * placeholders * (n + 1))
    raise AssertionError("no item is torn where no two branches share one")


def _items(found: np.ndarray, first: np.ndarray) -> tuple[list[int], int | None]:
    """Which items placeholders belong to, in their order, and the first item that does not stand together."""
    items: list[int] = []
    place = 0
    while place < len(found):
        own, number = divmod(int(found[place]), int(first[-1]))
        item = int(np.searchsorted(first, number, side="right")) - 1
        size = int(first[item + 1] - first[item])
        expected = own * int(first[-1]) + first[item] + np.arange(size)
        if not np.array_equal(found[place : place + size], expected):
            return items, item
        items.append(item)
        place += size
    return items, None
