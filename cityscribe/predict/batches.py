"""Ask in batches of fixed composition, and keep each finished one in a journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from cityscribe.engine.request import Engine
from cityscribe.predict.journal import Journal
from cityscribe.progress import Progress

T = TypeVar("T")


def answer_batches(
    batches: Sequence[Sequence[T]],
    journal: Journal,
    load: Callable[[], Engine],
    ask: Callable[[Engine, Sequence[T]], list[Any]],
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
    engine: Engine | None = None
    try:
        for batch in batches[len(journal.finished) :]:
            engine = engine or load()
            engine.forget()
            answered = ask(engine, batch)
            journal.append(answered)
            entries += answered
            progress(len(entries), total)
    finally:
        journal.close()
    return entries, resumed
