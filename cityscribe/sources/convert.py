"""Conversations from one format to another, with their images: what `cityscribe data convert` does.

TARGET/train.json (or .jsonl), val.json, test.json, data.json where no split is named;  TARGET/... the images
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from cityscribe.files import InputError, copy_file
from cityscribe.progress import Progress
from cityscribe.records import Problem, Sample
from cityscribe.sources.llava import write_llava
from cityscribe.sources.messages import write_messages
from cityscribe.sources.sharegpt import write_sharegpt

WRITERS: dict[str, tuple[Callable[[Sequence[Sample], Path], None], str]] = {
    "llava": (write_llava, ".json"),
    "sharegpt": (write_sharegpt, ".json"),
    "messages": (write_messages, ".jsonl"),
}
"""By format: what writes one file of it, and the suffix of that file."""


def write_converted(
    samples: Sequence[Sample],
    problems: Sequence[Problem],
    root: Path,
    target: Path,
    to: str,
    progress: Progress | None = None,
) -> list[Path]:
    """Write samples read from `root`, and their images, into the new folder `target`. Returns the files of samples.

    Raises InputError where an entry could not be read (nothing is lost on the way), a sample cannot be written in that
    format, or the folder is already there.
    """
    errors = [str(problem) for problem in problems if problem.level == "error"]
    if errors or not samples:
        more = f"\nand {len(errors) - 10} more" if len(errors) > 10 else ""
        raise InputError(f"{root}: not converted:\n" + "\n".join(errors[:10] or ["no conversations in it"]) + more)
    if target.exists():
        raise InputError(f"{target}: already there; name another folder")
    write, suffix = WRITERS[to]
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    by_split: dict[str, list[Sample]] = {}
    for sample in samples:
        by_split.setdefault(sample.meta.split or "data", []).append(sample)
    names = [f"{split}{suffix}" for split in by_split]
    for name, members in zip(names, by_split.values(), strict=True):
        write(members, partial / name)
    images = list(dict.fromkeys(image for sample in samples for image in sample.images))
    for done, image in enumerate(images, start=1):
        place = partial / image
        if image in names or place.exists():
            raise InputError(f"{root / image}: an image of the name of a file of samples; rename it")
        copy_file(root / image, place)
        if progress is not None:
            progress(done, len(images))
    os.replace(partial, target)
    return [target / name for name in names]
