"""The files below a data folder by name: annotations name a video, and rarely its folder."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from cityscribe.media.kinds import VIDEO_SUFFIXES


def files_below(root: Path, suffixes: Sequence[str]) -> Iterator[str]:
    """The paths, relative to the root, of all files below it with one of the suffixes, folder by folder in order.

    Hidden ones are left out. Links are followed, each folder once: videos often lie on another disk.
    """
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(root, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(tuple(suffixes)) and not name.startswith("."):
                path = os.path.relpath(os.path.join(parent, name), root).replace(os.sep, "/")
                if path == path.encode("utf-8", "replace").decode():
                    yield path


def files_by_stem(root: Path, suffixes: Sequence[str] = VIDEO_SUFFIXES) -> dict[str, str]:
    """Stem, `composed` -> path relative to the root, of the files of `files_below`; the first of a stem counts."""
    found: dict[str, str] = {}
    for path in files_below(root, suffixes):
        found.setdefault(composed(os.path.splitext(path.rpartition("/")[2])[0]), path)
    return found


def composed(name: str) -> str:
    """A name with its accents composed (NFC): macOS takes them apart in names of files, annotations do not."""
    return unicodedata.normalize("NFC", name)


def stem_of(name: str) -> str:
    """The stem of a file name or address, `composed`, its folders left out; suffixes of other files stay."""
    last = composed(name).replace("\\", "/").rstrip("/").rpartition("/")[2].strip()
    stem, suffix = os.path.splitext(last)
    return stem if suffix.lower() in VIDEO_SUFFIXES else last
