"""Which split a sample belongs to: as the name of its file says, or else by a share of the images.

A source leaves the split of a sample empty where no name says it; `divide` then fills it in.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TypeVar

from cityscribe.records import Sample
from cityscribe.traffic.scenario import Split

Divided = TypeVar("Divided")

WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def split_named(path: str) -> Split | None:
    """The split that a relative path names, such as `llava_val.json` or `train2017/0.json`; the last word counts."""
    parts = PurePosixPath(path)
    for part in (parts.stem, *reversed(parts.parts[:-1])):
        for word in reversed(re.findall("[a-z]+", part.lower())):
            if word in WORDS:
                return WORDS[word]
    return None


def divide(samples: Sequence[Sample], val_share: float, seed: int) -> list[Sample]:
    """Samples with a split each, in their order.

    Where none is named for validation, a share of the others becomes that: whole groups, drawn by the hash of their
    name, so that no image is in both. At least one group stays for training.
    """
    named = {sample.meta.split for sample in samples}
    chosen: set[str] = set()
    if "val" not in named and val_share > 0:
        groups = {sample.group for sample in samples if sample.meta.split != "test"}
        order = sorted(groups, key=lambda group: _drawn_by(f"{seed}/{group}"))
        chosen = set(order[: min(math.ceil(val_share * len(order)), len(order) - 1)])
    result = []
    for sample in samples:
        split = sample.meta.split or "train"
        if split == "train" and sample.group in chosen:
            split = "val"
        result.append(sample if split == sample.meta.split else replace(sample, meta=replace(sample.meta, split=split)))
    return result


def part_of(items: Sequence[Divided], name_of: Callable[[Divided], str], share: float, seed: int) -> list[Divided]:
    """Items of a training set whose names are among the share that is drawn, at least one name, in their order.

    A larger share holds all of a smaller one: what more data are worth is not mixed with which data they are.
    """
    if share == 1:
        return list(items)
    order = sorted({name_of(item) for item in items}, key=lambda name: _drawn_by(f"{seed}/part/{name}"))
    kept = set(order[: math.ceil(share * len(order))])
    return [item for item in items if name_of(item) in kept]


def _drawn_by(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
