"""LLaVA JSON: conversations with `<image>` marks, as LLaVA, LLaVA-NeXT and their kin train on.

    [{"id": "0", "image": "a.jpg", "conversations": [{"from": "human", "value": "<image>\\nWhat is this?"},
                                                     {"from": "gpt", "value": "A crossing."}]}]

`image` names one file or a list of them, `video` likewise. A mixture is a YAML file, `datasets: [{json_path: a.json,
sampling_strategy: "first:10%"}]`; the strategies are `all`, `first:N`, `end:N` and `random:N`, where N is a number or
a share that is rounded up (train.py of LLaVA-NeXT). One line break after a mark belongs to the mark.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from cityscribe.entries import EntryModel, checked
from cityscribe.files import write_text
from cityscribe.records import Problem, Sample
from cityscribe.sources import ConversationSource
from cityscribe.sources.conversation import (
    FRAMES,
    ConversationEntry,
    build_sample,
    check_writable,
    entries_of,
    media,
    text_with_marks,
    turns_of,
    unshown,
)
from cityscribe.sources.intake import UNREADABLE, Intake, open_intake
from cityscribe.sources.listing import Certainty, Listing, first_key
from cityscribe.sources.own_meta import meta_to_write, own_meta
from cityscribe.sources.pairs import preference_to_write, with_rejected
from cityscribe.sources.splits import split_named
from cityscribe.sources.video_blocks import videos_to_write
from cityscribe.values import name_of, shown

SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}
STRATEGIES = "all, first:N, end:N or random:N, N or N%"
STRATEGY = re.compile(r"(all|first|end|random)(?::(\d{1,12})(%?))?")


def read_llava(root: Path, *, files: Sequence[str] = (), frames: int = FRAMES) -> tuple[list[Sample], list[Problem]]:
    """The samples of LLaVA JSON files and of mixtures of them, in their order, and everything that is wrong.

    `files` names the files to read, relative to the root; none takes all. What a mixture names is not read again by
    itself. A video is shown by `frames` frames. Raises InputError where the root is no folder.
    """
    intake = open_intake(root)
    listed = intake.data_files(files, (".yaml", ".yml", ".json", ".jsonl"))
    mixtures = [path for path in listed if path.suffix.lower() in (".yaml", ".yml")]
    samples: list[Sample] = []
    mixed: set[Path] = set()
    for mixture in mixtures:
        samples += _mixture(intake, mixture, frames, mixed)
    for path in listed:
        if path not in mixtures and path not in mixed:
            samples += _samples(intake, path, intake.entries(path), frames)
    return samples, intake.problems


class _Part(EntryModel):
    """One part of a mixture."""

    json_path: str = Field(description="the path of a JSON file")
    sampling_strategy: str = Field("all", description=STRATEGIES)


def _mixture(intake: Intake, path: Path, frames: int, mixed: set[Path]) -> list[Sample]:
    value = intake.yaml(path)
    if value is UNREADABLE:
        return []
    parts = value.get("datasets") if isinstance(value, dict) else None
    if parts is None and isinstance(value, dict) and isinstance(value.get("data"), dict):
        intake.add("note", path, "", "is the project of a run, not a mixture")
        return []
    if not isinstance(parts, list):
        intake.add("error", path, "datasets", f"is {shown(parts)}, expected a list of files")
        return []
    samples = []
    for number, part in enumerate(parts):
        entry = ConversationEntry(intake, path, f"datasets[{number}]", part if isinstance(part, dict) else {})
        read = checked(_Part, entry.row, entry.note, "", level="error")
        if read is None:
            continue
        name, asked = read.json_path, STRATEGY.fullmatch(read.sampling_strategy)
        try:
            file = intake.root / intake.below(path.parent, name)
        except ValueError as error:
            entry.error("json_path", str(error))
            continue
        if asked is None or (asked[1] == "all") != (asked[2] is None):
            entry.error("sampling_strategy", f"is {shown(read.sampling_strategy)}, expected {STRATEGIES}")
            continue
        mixed.add(file)
        entries = intake.entries(file)
        samples += _samples(intake, file, _drawn(entries, asked, name), frames)
    return samples


def _drawn(entries: list[tuple[str, Any]], asked: re.Match[str], name: str) -> list[tuple[str, Any]]:
    if asked[1] == "all":
        return entries
    count = math.ceil(int(asked[2]) * len(entries) / 100) if asked[3] else int(asked[2])
    if asked[1] == "end":
        return entries[max(len(entries) - count, 0) :]
    if asked[1] == "random":
        # By hash rather than by a seed, so that the same file gives the same samples in any mixture.
        order = sorted(range(len(entries)), key=lambda n: hashlib.sha256(f"{name}\0{n}".encode()).digest())
        return [entries[n] for n in sorted(order[:count])]
    return entries[:count]


def _samples(intake: Intake, path: Path, entries: list[tuple[str, Any]], frames: int) -> list[Sample]:
    split = split_named(intake.relative(path)) or ""
    samples = []
    for entry in entries_of(intake, path, entries, "an entry with conversations"):
        row = entry.row
        turns = turns_of(
            entry, "conversations", role_keys=("from", "role"), text_keys=("value", "content"), newline=True
        )
        key = "image" if row.get("image") or "images" not in row else "images"
        images, videos = media(entry, key), media(entry, "video")
        if turns is None or images is None or videos is None or unshown(entry, (key, "video")):
            continue
        if images and videos:
            entry.error("video", "stands beside images; which of them a mark <image> means cannot be told")
            continue
        meta, group = own_meta(row)
        name = name_of(row.get("id")) or f"{intake.relative(path)}{entry.place}"
        sample = build_sample(
            entry, turns, images, videos, frames=frames, name=name, split=split, meta=meta, group=group
        )
        if sample is not None:
            samples += with_rejected(entry, sample, "rejected")
    return samples


def write_llava(samples: Sequence[Sample], path: Path) -> None:
    """Write samples as LLaVA JSON, whole or not at all; `read_llava` gives the same samples again.

    Raises InputError that names the samples whose text holds a mark of its own, or that are not prepared.
    """
    entries = check_writable(samples, _entry)
    write_text(path, json.dumps(entries, ensure_ascii=False, indent=1) + "\n")


def _entry(sample: Sample) -> dict[str, object]:
    images, videos = list(sample.images), videos_to_write(sample)
    if images and videos:
        raise ValueError("shows images and videos, which LLaVA JSON cannot tell apart; write it as messages")
    named: dict[str, object] = {"image": images[0] if len(images) == 1 else images} if images else {}
    named |= {"video": videos} if videos else {}
    turns = [
        {"from": SPEAKERS[entry["role"]], "value": text_with_marks(entry, newline=True)} for entry in sample.messages
    ]
    own = {**meta_to_write(sample), **preference_to_write(sample)}
    return {"id": sample.meta.scenario, **named, "conversations": turns, **own}


def recognise(listing: Listing) -> Certainty:
    if any("json_path" in listing.head(name) for name in listing.data_files(".yaml", ".yml")):
        return Certainty.CERTAIN
    talks = (listing.head(name) for name in listing.data_files(".json", ".jsonl"))
    return Certainty.LIKELY if any(first_key(head) == "conversations" for head in talks) else Certainty.NO


SOURCE = ConversationSource(read_llava, recognise=recognise, looks_for="JSON with conversations, or a YAML mixture")
