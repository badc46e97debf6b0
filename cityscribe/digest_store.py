"""Digests of files that are remembered from one run to the next.

    known = DigestStore(run_folder / "state" / "digests.json")
    known.of(path)
    known.save()

A file is read again unless its size, its inode and both its times are those that it had when it was read. A file that
was changed within the last seconds before that is not remembered: it could change once more within the same tick of the
file system's clock.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

from cityscribe.files import InputError, naming, read_json, write_json

TICK_NS = 2_000_000_000
"""How far apart two changes may be and still leave the same times; two seconds on FAT, less elsewhere."""

FileState = list[int]


class DigestStore:
    """Digests by the path of a file, all of one algorithm of hashlib, kept in the JSON file `store`, which may be
    missing or damaged."""

    def __init__(self, store: Path, algorithm: str = "blake2b") -> None:
        self.store = store
        self.algorithm = algorithm
        self._known: dict[str, tuple[FileState, str]] = {}
        self._changed = False
        with contextlib.suppress(InputError, AttributeError, TypeError, ValueError):
            self._known = {str(name): (list(map(int, stamp)), str(digest)) for name, (stamp, digest) in _read(store)}

    def of(self, path: Path) -> str:
        """The digest of a file. Raises InputError where it cannot be read."""
        try:
            name = str(path.resolve())
            stamp = _stamp(path)
            known = self._known.get(name)
            if known is not None and known[0] == stamp:
                return known[1]
            began = time.time_ns()
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, self.algorithm).hexdigest()
            if _stamp(path) == stamp and max(stamp[2:]) < began - TICK_NS:
                self._known[name] = (stamp, digest)
                self._changed = True
            return digest
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from error

    def save(self) -> None:
        """Write down what is known. Where that cannot be written, the next run reads the files again."""
        if self._changed:
            with contextlib.suppress(OSError):
                self.store.parent.mkdir(parents=True, exist_ok=True)
                write_json(self.store, dict(sorted(self._known.items())))


def file_digests(folder: Path) -> list[list[str]]:
    """The name and SHA-256 of each file below a folder, by their paths. An OSError names the file."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with naming(path), path.open("rb") as file:
            found.append([path.name, hashlib.file_digest(file, "sha256").hexdigest()])
    return found


def _read(store: Path) -> list[tuple[str, tuple[FileState, str]]]:
    return list(read_json(store).items())


def _stamp(path: Path) -> FileState:
    found = os.stat(path)
    return [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]
