"""Data sets of conversations put together by share, each sample with where it comes from.

    mix([Part("real", Path("data/driving"), 0.3), Part("made", Path("data/views"), 0.7)], Path("data/mixed"))

writes a data set of messages: its training samples are of all parts, by their shares of the images, its other splits
those of the first part alone. Where a sample comes from stands in its meta data, in `note`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cityscribe.files import InputError, check_new, copy_file, new_folder
from cityscribe.records import Sample
from cityscribe.sources.messages import read_messages, write_messages

ORIGIN = "origin: "
"""In the note of a sample, before the name of its part."""


@dataclass(frozen=True, slots=True)
class DataPart:
    """A data set of messages that is mixed in."""

    name: str
    root: Path
    share: float | None  # of the images that train; None takes all of it


def mix(parts: Sequence[DataPart], out: Path, *, seed: int = 0) -> dict[str, int]:
    """Write the mixture into the folder `out`, which must not exist yet. Returns the training images of each part.

    With shares as many images train as the scarcest part allows. Images are copied. Raises InputError for parts of one
    name, shares of some parts only or that do not add up to 1, and a part without training samples.
    """
    names = [part.name for part in parts]
    if len(parts) < 2 or len(set(names)) < len(names):
        raise InputError(f"mix: expected at least two parts of different names, found {', '.join(names) or 'none'}")
    shares = [part.share for part in parts]
    if any(share is None for share in shares) != all(share is None for share in shares):
        raise InputError("mix: give a share of each part, or of none")
    if shares[0] is not None and abs(sum(share or 0 for share in shares) - 1) > 1e-3:
        raise InputError(f"mix: the shares add up to {sum(share or 0 for share in shares):g}, expected 1")
    check_new(out)
    read = {part.name: _samples(part) for part in parts}
    images = {
        name: list(dict.fromkeys(one.images for one in of if one.meta.split == "train")) for name, of in read.items()
    }
    empty = next((part for part in parts if not images[part.name]), None)
    if empty is not None:
        raise InputError(f"{empty.root}: no sample of it trains")
    total = min(len(images[part.name]) / part.share for part in parts if part.share) if shares[0] is not None else 0
    rng = random.Random(seed)  # a choice, no secret
    counts: dict[str, int] = {}
    mixed: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    with new_folder(out) as partial:
        for place, part in enumerate(parts):
            wanted = len(images[part.name]) if part.share is None else round(total * part.share)
            chosen = set(rng.sample(images[part.name], wanted))
            counts[part.name] = wanted
            for sample in read[part.name]:
                split = sample.meta.split
                if (split == "train" and sample.images in chosen) or (split != "train" and place == 0):
                    mixed[split].append(_placed(sample, part, partial))
        for split, samples in mixed.items():
            if samples:
                write_messages(samples, partial / f"{split}.jsonl")
    return counts


def _samples(part: DataPart) -> list[Sample]:
    samples, problems = read_messages(part.root)
    if not samples:
        first = f"; {problems[0]}" if problems else ""
        raise InputError(f"{part.root}: no conversation can be used{first}")
    return samples


def _placed(sample: Sample, part: DataPart, out: Path) -> Sample:
    """A sample whose images lie in the folder of their part, named for where it comes from."""
    for image in sample.images:
        place = out / part.name / image
        if not place.exists():
            copy_file(part.root / image, place)
    train = sample.meta.split == "train"
    scenario = f"{part.name}/{sample.meta.scenario}" if train else sample.meta.scenario
    meta = replace(sample.meta, scenario=scenario, note=f"{ORIGIN}{part.name}")
    images = tuple(f"{part.name}/{image}" for image in sample.images)
    return replace(sample, images=images, group=f"{part.name}/{sample.group}", meta=meta)
