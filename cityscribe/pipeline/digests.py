"""Digests of what lies outside of a run folder: data sets, prompt files, base models. Each place is read once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from cityscribe.files import InputError

SMALL = 1 << 20
"""Bytes up to which a file is known by its content; a larger one by its size and time."""


class Digests:
    """Digests of files and folders, kept: one object serves all runs of an ablation."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, tuple[str, ...]], str] = {}

    def of(self, place: Path, suffix: str = "", but_not: tuple[str, ...] = ()) -> str:
        """The digest of a file, or of the files below a folder whose names end in `suffix`, through links as readers
        go, without those directly in it that `but_not` names. What is not there has a digest of its own."""
        key = (os.path.abspath(place), suffix, but_not)
        if key not in self._known:
            self._known[key] = _digest(place, suffix, but_not)
        return self._known[key]

    def of_folder(self, folder: Path, suffix: str = "") -> str:
        """As `of`. Raises InputError where it is no folder."""
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        return self.of(folder, suffix)

    def of_base(self, base: str) -> str:
        """What a base model is made of, without what the run that it comes from says about it. One that is missing
        matters only to the stages that use it, and they say so."""
        from cityscribe.models.card_files import card_files_of
        from cityscribe.models.load import resolve_base

        try:
            place = Path(resolve_base(base))
        except InputError:
            return f"missing {base}"
        return self.of(place, but_not=card_files_of(place)) if place.is_dir() else f"hub {base}"


def _digest(place: Path, suffix: str, but_not: tuple[str, ...]) -> str:
    if place.is_file():
        return hashlib.sha256(place.read_bytes()).hexdigest()
    if not place.is_dir():
        return f"missing {place}"
    digest = hashlib.sha256()
    for path in files_below(place):
        if not path.name.endswith(suffix) or (path.parent == place and path.name in but_not):
            continue
        status = path.stat()
        content = path.read_bytes() if status.st_size <= SMALL else str(status.st_mtime_ns).encode()
        digest.update(os.fsencode(f"{path.relative_to(place)}\0{status.st_size}\0"))
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def files_below(folder: Path, _above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """The files below a folder in order of their names, also through links; a link to a folder above is passed over."""
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in _above:
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if entry.is_dir():
            yield from files_below(path, _above | {here})
        elif entry.is_file():
            yield path
