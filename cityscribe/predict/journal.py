"""A journal of finished work, so that a killed run goes on where it was.

The first line names what the work is (a hash of everything that decides the result), each further line is one finished
entry. Lines are appended and forced to the disk. What a kill tore off at the end is cut away when the journal is opened
again; a journal of other work is started anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from cityscribe.files import naming
from cityscribe.train import processes


class Journal:
    """`finished` holds the entries of the runs before this one; the file is touched when the next one is appended."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.finished: list[Any] = []
        self._header = _line({"key": key})
        self._kept = 0  # bytes at the beginning of the file that hold the header and the finished entries
        self._file: BinaryIO | None = None
        header, *lines = path.read_bytes().splitlines(keepends=True) or [b""] if path.is_file() else [b""]
        if header != self._header:
            return
        self._kept = len(header)
        for line in lines:
            if not line.endswith(b"\n"):
                break  # a line counts when its end was written
            try:
                self.finished.append(json.loads(line))
            except ValueError:
                break
            self._kept += len(line)

    def append(self, entry: Any) -> None:
        """Add a finished entry (any JSON value); it survives a kill from here on. Raises OSError for a full disk."""
        with naming(self.path):
            if self._file is None:
                self._file = self.path.open("r+b" if self._kept else "wb")
                self._file.truncate(self._kept)
                self._file.seek(self._kept)
                if not self._kept:
                    self._file.write(self._header)
            self._file.write(_line(entry))
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            with naming(self.path):
                self._file.close()

    def discard(self) -> None:
        """Delete the journal: the work is done and its result is in its place."""
        self.close()
        self.path.unlink(missing_ok=True)


class SharedJournal:
    """The journals of one work that several processes (of torchrun) do: each appends to a file of its own, and any
    number of them goes on from what any number has finished. `finished` maps numbers of pieces of work to entries."""

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        own = path if processes.is_first() else _of_process(path, processes.rank())
        files = {own, path, *path.parent.glob(_of_process(path, "*").name)}
        journals = {file: Journal(file, key) for file in files}
        self._own = journals[own]
        self.finished: dict[int, Any] = {
            number: entry for journal in journals.values() for number, entry in journal.finished
        }

    def append(self, number: int, entry: Any) -> None:
        """Add what a piece of work came to, as `Journal.append`. All processes have to have read the journals."""
        self._own.append([number, entry])

    def close(self) -> None:
        self._own.close()

    def discard(self) -> None:
        """Delete the journals of all processes; for the first of them, once the others are done."""
        self.close()
        for file in (self._path, *self._path.parent.glob(_of_process(self._path, "*").name)):
            file.unlink(missing_ok=True)


def _of_process(path: Path, rank: int | str) -> Path:
    return path.with_name(f"{path.stem}.{rank}{path.suffix}")


def _line(entry: Any) -> bytes:
    return json.dumps(entry, sort_keys=True).encode() + b"\n"
