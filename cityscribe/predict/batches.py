"""Ask in batches of fixed composition, and keep each finished one in a journal.

Several processes (of torchrun) share the batches out. Which of them answers a batch changes nothing in its answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from cityscribe.engine.request import Engine
from cityscribe.predict.journal import SharedJournal
from cityscribe.progress import Progress
from cityscribe.train import processes

T = TypeVar("T")


def answer_batches(
    batches: Sequence[Sequence[T]],
    journal: SharedJournal,
    load: Callable[[], Engine],
    ask: Callable[[Engine, Sequence[T]], list[Any]],
    progress: Progress,
) -> tuple[list[Any], int]:
    """A JSON value for each item in the order of the batches, on every process, and how many of them an earlier run had
    finished.

    `ask` gives those of a batch, one an item; what is in the journal is not asked again. The engine is loaded where a
    batch is missing, and begins each as it began the first.
    """
    total = sum(map(len, batches))
    finished: dict[int, list[Any]] = dict(journal.finished)
    resumed = done = sum(map(len, finished.values()))
    missing = [number for number in range(len(batches)) if number not in finished]
    processes.wait()  # until all have read the journals
    progress(resumed, total)
    engine: Engine | None = None
    answered: dict[int, list[Any]] = {}
    try:
        for number in missing[processes.rank() :: processes.count()]:
            engine = engine or load()
            engine.forget()
            answered[number] = ask(engine, batches[number])
            journal.append(number, answered[number])
            done += processes.count() * len(answered[number])  # the others are about as far
            progress(min(done, total), total)
    finally:
        journal.close()
    for part in processes.from_all(answered):
        finished |= part
    if min(done, total) < total:
        progress(total, total)
    return [entry for number in range(len(batches)) for entry in finished[number]], resumed
