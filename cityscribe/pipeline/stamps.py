"""What was written, and whether it is still there as it was: the stamps in `state/`.

A stamp holds the hash of what a step was made from and, for each file that it wrote, size, time, number of the inode,
and the digest of a small one or of both ends of a large one. A file is the same where the first three are; or where
size and digest are, and for a large one the time: so a copy of a run is up to date, and an edited file is not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cityscribe.files import InputError, read_json, write_json
from cityscribe.pipeline.digests import files_below
from cityscribe.pipeline.step import Step

SMALL = 1 << 16
"""Bytes up to which the whole of a file is digested; of a larger one this many at each end."""


class Written(BaseModel):
    """A file as a step left it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int
    time_ns: int
    inode: int
    digest: str


class Stamp(BaseModel):
    """What `state/STEP.json` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    made_from: str
    files: dict[str, Written]  # by their places in the run folder


@dataclass(frozen=True, slots=True)
class State:
    """Whether a step has to be made, and why."""

    fresh: bool
    why: str = ""  # of one that was made before


def stamp_of(step: Step, folder: Path) -> Path:
    return folder / "state" / f"{step.name.replace(' ', '-')}.json"


def state_of(step: Step, made_from: str, folder: Path) -> State:
    """Whether a run folder holds what a step is to make."""
    file = stamp_of(step, folder)
    if not file.is_file():
        return State(False)
    try:
        stamp = Stamp.model_validate(read_json(file))
    except (InputError, ValidationError):
        return State(False, f"{file} is damaged")
    if stamp.made_from != made_from:
        return State(False, "its settings or inputs have changed")
    for place in step.writes:
        if not any(name == place or (place.endswith("/") and name.startswith(place)) for name in stamp.files):
            return State(False, f"{folder / place} is missing")
    for name, written in stamp.files.items():
        if name in step.left_to:
            continue
        path = folder / name
        if not path.is_file():
            return State(False, f"{path} is missing")
        if not _same(path, written):
            return State(False, f"{path} has changed")
    return State(True)


def write_stamp(step: Step, made_from: str, folder: Path) -> None:
    """Note that a step is done. Raises InputError where it has not written what it declares."""
    files = {str(path.relative_to(folder)): _measured(path) for path in written_by(step, folder)}
    for place in step.writes:
        if not any(name == place or (place.endswith("/") and name.startswith(place)) for name in files):
            raise InputError(f"{folder / place}: the stage {step.stage} has not written it")
    file = stamp_of(step, folder)
    file.parent.mkdir(exist_ok=True)
    write_json(file, Stamp(made_from=made_from, files=files).model_dump(mode="json"))


def written_by(step: Step, folder: Path) -> Iterator[Path]:
    """The files of a step that are there, but for what is left over or another step's."""
    passed = tuple(str(folder / place) for place in (*step.leftovers, *(f"{name}/" for name in step.left_to)))
    for place in (*step.writes, *step.may_write):
        path = folder / place
        if path.is_dir():
            yield from (file for file in files_below(path) if not f"{file}/".startswith(passed))
        elif path.is_file():
            yield path


def _measured(path: Path) -> Written:
    status = path.stat()
    return Written(
        size=status.st_size, time_ns=status.st_mtime_ns, inode=status.st_ino, digest=_digest(path, status.st_size)
    )


def _same(path: Path, written: Written) -> bool:
    status = path.stat()
    if status.st_size != written.size:
        return False
    timely = status.st_mtime_ns == written.time_ns
    if timely and status.st_ino == written.inode:
        return True
    return (timely or status.st_size <= SMALL) and _digest(path, status.st_size) == written.digest


def _digest(path: Path, size: int) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(SMALL))
        if size > SMALL:
            file.seek(max(size - SMALL, SMALL), os.SEEK_SET)
            digest.update(file.read(SMALL))
    return digest.hexdigest()
