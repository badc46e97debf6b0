"""What was covered in a picture, written into its file: a stopped preparation counts what it finds there.

redacted: faces 2, plates 0
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image

from cityscribe.files import InputError, write_json

NOTE = re.compile(r"^redacted: (?P<counts>.+)$", re.MULTILINE)


def note_of(counts: Mapping[str, int]) -> str:
    """The comment of a picture in which so many regions of each kind were covered."""
    return "redacted: " + ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))


def counts_in(path: Path) -> Counter[str] | None:
    """What the comment of a picture says; None where it says nothing."""
    with Image.open(path) as picture:
        comment = picture.info.get("comment", b"")
    found = NOTE.search(comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment))
    if found is None:
        return None
    counts: Counter[str] = Counter()
    for part in found["counts"].split(", "):
        kind, _, count = part.rpartition(" ")
        counts[kind] += int(count)
    return counts


def write_redacted(out: Path, images: Iterable[str], kinds: tuple[str, ...]) -> None:
    """Write `redacted.json` where something was to be covered: in how many of the images how many regions were.

    Raises InputError for an image that does not say that it was looked through.
    """
    if not kinds:
        return
    regions, count, covered = Counter(dict.fromkeys(kinds, 0)), 0, 0
    for image in sorted(set(images)):
        found = counts_in(out / image)
        if found is None:
            raise InputError(f"{out / image}: was stored without redaction; remove {out} and prepare again")
        regions.update(found)
        count += 1
        covered += any(found.values())
    write_json(out / "redacted.json", {"images": count, "covered": covered, "regions": dict(sorted(regions.items()))})
