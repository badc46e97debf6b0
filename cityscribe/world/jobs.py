"""Writing a set of many parts: side by side, resumable, whole or not at all, and byte-equal however it was written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from cityscribe.files import InputError, write_bytes, write_text
from cityscribe.media.kinds import VIDEO_SUFFIXES
from cityscribe.media.video import probe
from cityscribe.progress import Progress
from cityscribe.workers import cores, worker_processes

Job = TypeVar("Job")


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
    be a function of a module, for `workers` processes call it (0: one a core). Its folder is empty, and `finish` sees
    the files of all jobs. What an earlier, interrupted call with an equal `made_from` has done is kept. Raises
    InputError where the folder exists, or files cannot be written.
    """
    partial = root.with_name(root.name + ".partial")
    notes = partial / ".jobs"
    done = root.with_name(root.name + ".partial.jobs")  # the notes while the folder gets its name
    if root.exists():
        shutil.rmtree(done, ignore_errors=True)
        raise InputError(f"{root}: already there; remove it or name another folder")
    try:
        if done.exists() and partial.exists() and not notes.exists():
            os.replace(done, notes)
        _begin(partial, notes, json.dumps(made_from, sort_keys=True))
        calls = [(write, partial, notes / f"{number:06d}.json", job) for number, job in enumerate(jobs)]
        results = []
        for number, result in enumerate(_each(calls, workers), start=1):
            results.append(result)
            if progress is not None:
                progress(number, len(jobs))
        finish(partial, results)
        os.replace(notes, done)
        os.replace(partial, root)
    except OSError as error:
        raise InputError(f"{error.filename or partial}: cannot be written: {error.strerror or error}") from error
    shutil.rmtree(done)


def _begin(partial: Path, notes: Path, made_from: str) -> None:
    """Keep what an earlier call that was stopped has done of the same, without what it left half done."""
    if (notes / "made_from.json").exists() and (notes / "made_from.json").read_text() == made_from:
        for left in notes.iterdir():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            elif left.suffix == ".partial":
                left.unlink(missing_ok=True)
        return
    shutil.rmtree(partial, ignore_errors=True)
    notes.mkdir(parents=True)
    write_text(notes / "made_from.json", made_from)


def _each(calls: list[tuple[Any, Path, Path, Any]], workers: int) -> Iterable[Any]:
    count = min(workers or cores(), len(calls))
    if count <= 1:
        yield from map(_do, calls)
        return
    try:
        with worker_processes(count) as pool:
            yield from pool.map(_do, calls)
    except BrokenProcessPool as error:
        raise InputError("a process that renders died, most likely for want of memory; set fewer workers") from error


def _do(call: tuple[Callable[[Path, Any], Any], Path, Path, Any]) -> Any:
    """Do a job in a folder of this process, move its files to their place when all are whole, and note them last: a job
    with its note is done. The result is as JSON gives it back, whether the job was done now or earlier."""
    write, folder, note, job = call
    noted = _finished(folder, note)
    if noted is not None:
        return noted["result"]
    own = note.with_suffix(f".{os.getpid()}")
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    noted = json.loads(json.dumps({"result": write(own, job), "files": {}}))
    written = sorted(path for path in own.rglob("*") if path.is_file())
    for path in written:
        if path.suffix in VIDEO_SUFFIXES and not probe(path).complete:
            raise InputError(f"{folder / path.relative_to(own)}: was not written whole; is the disk full?")
    for path in written:
        name = path.relative_to(own).as_posix()
        noted["files"][name] = _digest(path)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, folder / name)
    write_bytes(note, json.dumps(noted).encode(), shared=True)
    shutil.rmtree(own)
    return noted["result"]


def _finished(folder: Path, note: Path) -> Any:
    """What is noted of a job, if it is done and its files are what they were then; else None."""
    try:
        noted = json.loads(note.read_text())
        whole = all(_digest(folder / name) == digest for name, digest in noted["files"].items())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return noted if whole else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def dump(path: Path, value: Any) -> None:
    """Write JSON, with the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
