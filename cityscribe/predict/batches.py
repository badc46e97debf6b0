"""Ask in batches of fixed composition, and keep each finished one in a journal."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from cityscribe.predict.answers import Answering
from cityscribe.predict.journal import Journal

Progress = Callable[[int, int], None]
T = TypeVar("T")

ROWS = 16
"""Conversations about one scene that are answered together at most, on average over the scenes of a batch."""


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


def answer_batches(
    batches: Sequence[Sequence[T]],
    journal: Journal,
    load: Callable[[], Answering],
    ask: Callable[[Answering, Sequence[T]], list[Any]],
    progress: Progress,
) -> tuple[list[Any], int]:
    """A JSON value for each item in the order of the batches, and how many of them an earlier run had finished.

    `ask` gives those of a batch, one an item; what is in the journal is not asked again. The engine is loaded where a
    batch is missing, and begins each as it began the first.
    """
    total = sum(map(len, batches))
    entries = [entry for batch in journal.finished for entry in batch]
    resumed = len(entries)
    progress(resumed, total)
    engine: Answering | None = None
    try:
        for batch in batches[len(journal.finished) :]:
            engine = engine or load()
            engine.forget()
            told = ask(engine, batch)
            journal.append(told)
            entries += told
            progress(len(entries), total)
    finally:
        journal.close()
    return entries, resumed
