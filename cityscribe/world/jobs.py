"""Writing a set of many parts: side by side, resumable, whole or not at all, and byte-equal however it was written."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from cityscribe.files import InputError

Job = TypeVar("Job")
Progress = Callable[[int, int], None]


def write_whole(
    root: Path,
    made_from: Any,
    jobs: Sequence[Job],
    write: Callable[[Path, Job], Any],
    finish: Callable[[Path, list[Any]], None],
    *,
    workers: int = 0,
    progress: Progress | None = None,
) -> None:
    """Do jobs into a folder that must not exist yet; it appears when all are done.

    `write(folder, job)` writes the files of one job and returns what `finish(folder, results)` needs, as JSON; it must
    be a function of a module, for `workers` processes call it (0: one a core). What an earlier, interrupted call with
    an equal `made_from` has done is kept. Raises InputError where the folder exists.
    """
    if root.exists():
        raise InputError(f"{root}: already there; remove it or name another folder")
    partial = root.with_name(root.name + ".partial")
    notes = partial / ".jobs"
    told = json.dumps(made_from, sort_keys=True)
    if not (notes / "made_from.json").exists() or (notes / "made_from.json").read_text() != told:
        shutil.rmtree(partial, ignore_errors=True)
        notes.mkdir(parents=True)
        (notes / "made_from.json").write_text(told)
    calls = [(write, partial, notes / f"{number:06d}.json", job) for number, job in enumerate(jobs)]
    results = []
    for done, result in enumerate(_each(calls, workers), start=1):
        results.append(result)
        if progress is not None:
            progress(done, len(jobs))
    finish(partial, results)
    shutil.rmtree(notes)
    os.replace(partial, root)


def _each(calls: list[tuple[Any, Path, Path, Any]], workers: int) -> Iterable[Any]:
    count = min(workers or os.cpu_count() or 1, len(calls))
    if count <= 1:
        yield from map(_do, calls)
        return
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_do, calls)


def _do(call: tuple[Callable[[Path, Any], Any], Path, Path, Any]) -> Any:
    write, folder, note, job = call
    if note.exists():
        return json.loads(note.read_text())
    result = write(folder, job)
    partial = note.with_suffix(".partial")
    partial.write_text(json.dumps(result))
    os.replace(partial, note)  # last: a job with its note is done
    return result


def dump(path: Path, value: Any) -> None:
    """Write JSON, with the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
