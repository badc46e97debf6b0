"""What a source looks at to recognise its format: the names below a folder, and the first words of some files.

    listing = list_folder(Path("data"))
    listing.having(r"annotations/caption/")      # the files whose path holds that
    listing.data_files(".json")                  # those that a source of conversations would read

Only names are read, the nearest first and a limited number, so that looking at a data set of any size takes a moment.
"""

from __future__ import annotations

import os
import re
from collections import Counter, deque
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from cityscribe.files import InputError
from cityscribe.sources.splits import split_named

MOST_FILES = 20_000
"""Names that are looked at; those of the upper folders come first."""

HEAD = 1 << 16
"""Bytes of a file that are looked at."""

MOST_HEADS = 50
"""Files of one kind that are looked into."""


class Certainty(IntEnum):
    """How sure a source is that a folder is in its format."""

    NO = 0
    REST = 1  # any folder of such files can be read so
    LIKELY = 2  # its files hold what files of this format hold
    CERTAIN = 3  # it has names that only this format gives


@dataclass(frozen=True, slots=True)
class Listing:
    """The files below a folder: relative paths with `/`, the nearest first; hidden ones left out."""

    root: Path
    files: tuple[str, ...]

    def having(self, pattern: str) -> list[str]:
        """The files whose path holds what a regular expression says, without regard to capital letters."""
        found = re.compile(pattern, re.IGNORECASE)
        return [name for name in self.files if found.search(name)]

    def ending(self, *suffixes: str) -> list[str]:
        return [name for name in self.files if name.lower().endswith(suffixes)]

    def data_files(self, *suffixes: str) -> list[str]:
        """The files that `Intake.data_files` takes: in the root, in `annotations` and in its folders for splits; the
        first MOST_HEADS, to look into."""
        found = []
        for name in self.ending(*suffixes):
            folder, _, _ = name.rpartition("/")
            if not folder or ("/" not in folder and (folder.lower() == "annotations" or split_named(folder))):
                found.append(name)
        return found[:MOST_HEADS]

    def head(self, name: str) -> str:
        """The beginning of a file as text; empty where it cannot be read."""
        try:
            with (self.root / name).open("rb") as file:
                content = file.read(HEAD)
        except OSError:
            return ""
        encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
        return content.decode(encoding, "replace")

    def kinds(self) -> str:
        """How many files there are of which kind, such as "3 .csv, 1 .txt"."""
        counted = Counter(os.path.splitext(name)[1].lower() or "files without a suffix" for name in self.files)
        shown = [f"{count} {suffix}" for suffix, count in counted.most_common(6)]
        return ", ".join([*shown, *(["..."] if len(counted) > 6 else [])]) or "no files"


def list_folder(root: Path) -> Listing:
    """The names below a folder. Links are followed, each folder once. Raises InputError where it is no folder."""
    if root.is_file():
        raise InputError(f"{root}: is a file; give the folder of a data set")
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder of a data set")
    files: list[str] = []
    seen: set[tuple[int, int]] = set()
    waiting = deque([""])
    while waiting and len(files) < MOST_FILES:
        inside = waiting.popleft()
        try:
            status = os.stat(root / inside)
            entries = sorted(os.scandir(root / inside), key=lambda entry: entry.name)
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            name = entry.name
            if name.startswith(".") or name != name.encode("utf-8", "replace").decode():
                continue
            path = f"{inside}/{name}" if inside else name
            if entry.is_dir():
                waiting.append(path)
            else:
                files.append(path)
    return Listing(root, tuple(files[:MOST_FILES]))


def never(listing: Listing) -> Certainty:
    """Of a format that is read only where it is named."""
    return Certainty.NO


def first_key(head: str) -> str:
    """Which of the keys of conversations stands first in the beginning of a JSON file; empty where none does."""
    places = {key: head.find(f'"{key}"') for key in ("conversations", "messages", "prompt")}
    return min((key for key in places if places[key] >= 0), key=lambda key: places[key], default="")
