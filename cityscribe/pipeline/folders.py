"""Folders that are whole or not there, also when their making was stopped; one process at a time in a run folder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from cityscribe.files import REMOVED, InputError, put_in_place, remove_folder, write_json
from cityscribe.train import processes


@contextlib.contextmanager
def whole(folder: Path, made_from: str = "") -> Iterator[tuple[Path, bool]]:
    """A temporary folder that takes the place of `folder` once the block ends well, and whether it holds what a stopped
    block left that was to be made from the same (never, where that is not said)."""
    partial = folder.with_name(folder.name + ".partial")
    begun = folder.with_name(folder.name + ".begun.json")  # beside it, so that it never becomes a part of it
    resume = made_from != "" and partial.is_dir() and begun_from(begun) == made_from
    if not resume:
        begun.unlink(missing_ok=True)
        remove_folder(partial)
    partial.mkdir(parents=True, exist_ok=True)
    if made_from:
        write_json(begun, {"made_from": made_from})
    yield partial, resume
    put_in_place(partial, folder)
    begun.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_together(folder: Path, made_from: str) -> Iterator[Path]:
    """The same for what several processes make together: the temporary folder, which is there for all of them."""
    with whole(folder, made_from) if processes.is_first() else contextlib.nullcontext():
        processes.wait()
        yield folder.with_name(f"{folder.name}.partial")
        processes.wait()


def begun_from(file: Path) -> str:
    """What work was begun from, as its note says; nothing where there is none or it is torn."""
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["made_from"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def remove_what_was_being_removed(run_folder: Path) -> None:
    """Finish removals that a kill stopped."""
    of_splits = ("test/", "train/", "test/baselines/", "train/baselines/")
    for home in ("", "training/", "baselines/", "baselines/*/", "baselines/*/training/", *of_splits):
        for removed in run_folder.glob(f"{home}*{REMOVED}"):
            shutil.rmtree(removed, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time works in a run folder; the lock goes with its process, however that ends."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"{folder}: another cityscribe works in this run; wait for it or name another run"
            ) from error
        yield
