"""Messages and images, one JSON object a line or a list of them: what TRL and ms-swift train on.

    {"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]},
                  {"role": "assistant", "content": "A crossing."}], "images": ["a.jpg"]}

The content of a message is blocks, or text with `<image>` marks; where images are named and none is marked, they stand
before the first words of the user. `prompt` and `completion` may take the place of `messages`. A rejected answer beside
the chosen one makes a pair (see `pairs`). ms-swift's `objects`
fill its marks `<ref-object>` and `<bbox>`: a box becomes `[x1, y1, x2, y2]` in thousandths of its image.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cityscribe.files import InputError, write_text
from cityscribe.media.images import image_size
from cityscribe.records import MessageBlock, Problem, Sample
from cityscribe.sources import ConversationSource
from cityscribe.sources.conversation import (
    FRAMES,
    ConversationEntry,
    Turn,
    build_sample,
    check_writable,
    content_blocks,
    entries_of,
    media,
    turns_of,
    unshown,
)
from cityscribe.sources.intake import open_intake
from cityscribe.sources.listing import Certainty, Listing, first_key
from cityscribe.sources.own_meta import meta_to_write, own_meta
from cityscribe.sources.pairs import REJECTED, preference_to_write, with_rejected
from cityscribe.sources.splits import split_named
from cityscribe.values import MAX_PIXELS, finite, name_of, plain_text, shown

REF, BBOX = "<ref-object>", "<bbox>"


def read_messages(root: Path, *, files: Sequence[str] = (), frames: int = FRAMES) -> tuple[list[Sample], list[Problem]]:
    """The samples of files of messages and images, in their order, and everything that is wrong with them.

    `files` names the files to read, relative to the root; none takes all. A video is shown by `frames` frames. Raises
    InputError where the root is no folder.
    """
    intake = open_intake(root)
    samples = []
    for path in intake.data_files(files, (".jsonl", ".json")):
        for entry in entries_of(intake, path, intake.entries(path), "an object with messages"):
            samples += samples_of_row(entry, frames)
    return samples, intake.problems


def samples_of_row(entry: ConversationEntry, frames: int, images: list[str] | None = None) -> list[Sample]:
    """The sample of one row, two where it has a rejected answer as well, or none with its problem noted.

    `images` are given where the row does not name files.
    """
    sample = _sample(entry, frames, images)
    key = next((key for key in REJECTED if entry.row.get(key)), REJECTED[0])
    return [] if sample is None else with_rejected(entry, sample, key)


def _sample(entry: ConversationEntry, frames: int, images: list[str] | None) -> Sample | None:
    row = entry.row
    turns = _turns(entry)
    read = ["videos" if row.get("videos") is not None or "video" not in row else "video"]
    videos = media(entry, read[0])
    if images is None:
        read.append("images" if row.get("images") is not None or "image" not in row else "image")
        images = media(entry, read[1])
    if turns is None or images is None or videos is None or unshown(entry, read):
        return None
    if row.get("objects") is not None:
        filled = _fill_objects(entry, turns, images)
        if filled is None:
            return None
        turns = filled
    meta, group = own_meta(row)
    file = entry.intake.relative(entry.path)
    name = name_of(row.get("id")) or f"{file}:{entry.place}"
    split = split_named(file) or ""
    return build_sample(entry, turns, images, videos, frames=frames, name=name, split=split, meta=meta, group=group)


def _turns(entry: ConversationEntry) -> list[Turn] | None:
    row = entry.row
    keys = {"role_keys": ("role", "from"), "text_keys": ("content", "value")}
    if row.get("messages") is not None or "prompt" not in row:
        whole = "chosen" if row.get("messages") is None and isinstance(row.get("chosen"), list) else "messages"
        return turns_of(entry, whole, newline=False, **keys)
    answer = "completion" if row.get("completion") is not None else "chosen"
    said: list[Turn] = []
    for key, role in (("prompt", "user"), (answer, "assistant")):
        if isinstance(row.get(key), list):
            turns = turns_of(entry, key, newline=False, **keys)
        else:
            blocks = content_blocks(entry, key, row.get(key), newline=False)
            turns = None if blocks is None else [(role, blocks)]
        if turns is None:
            return None
        said += turns
    return said


def _fill_objects(entry: ConversationEntry, turns: list[Turn], images: list[str]) -> list[Turn] | None:
    """Turns whose marks of objects and boxes are filled in; None, with the error noted, where that cannot be done."""
    objects = entry.row["objects"]
    if not isinstance(objects, dict):
        entry.error("objects", f"is {shown(objects)}, expected ref and bbox")
        return None
    refs, boxes = objects.get("ref") or [], objects.get("bbox") or []
    if not isinstance(refs, list) or not isinstance(boxes, list):
        entry.error("objects", "expected lists under ref and bbox")
        return None
    places = objects.get("image_id") or [0] * len(boxes)
    words: list[str] = []
    for number, box in enumerate(boxes):
        place = places[number] if isinstance(places, list) and number < len(places) else None
        if not isinstance(place, int) or isinstance(place, bool) or not 0 <= place < len(images):
            entry.error(f"objects.image_id[{number}]", f"is {shown(place)}, but the entry has {len(images)} images")
            return None
        share = _thousandths(entry, f"objects.bbox[{number}]", box, objects.get("bbox_type"), images[place])
        if share is None:
            return None
        words.append(f"[{', '.join(map(str, share))}]")
    texts = {REF: [plain_text(ref) or "" for ref in refs], BBOX: words}
    for mark, given in texts.items():
        marks = sum(b["text"].count(mark) for _, blocks in turns for b in blocks if b["type"] == "text")
        if marks != len(given):
            entry.error("objects", f"has {len(given)} for {marks} marks {mark}")
            return None
    return [(role, [_filled(block, texts) for block in blocks]) for role, blocks in turns]


def _filled(block: MessageBlock, texts: dict[str, list[str]]) -> MessageBlock:
    if block["type"] != "text":
        return block
    text = block["text"]
    for mark, given in texts.items():
        first, *others = text.split(mark)
        text = first + "".join(given.pop(0) + part for part in others)
    return {"type": "text", "text": text}


def _thousandths(entry: ConversationEntry, place: str, box: Any, kind: Any, image: str) -> list[int] | None:
    numbers = [finite(value) for value in box] if isinstance(box, list) else []
    corners = [number for number in numbers if number is not None and abs(number) <= MAX_PIXELS]
    if len(corners) not in (2, 4) or len(corners) != len(numbers):
        entry.error(place, f"is {shown(box)}, expected x1, y1, x2, y2 (or a point x, y)")
        return None
    if kind == "norm1":
        width, height = 1, 1
    elif kind in (None, "real"):
        try:
            width, height = image_size(entry.intake.root / image)
        except InputError as error:
            entry.error("images", f"{shown(image)} cannot be opened: {error}")
            return None
    else:
        entry.error("objects.bbox_type", f"is {shown(kind)}, expected real or norm1")
        return None
    sizes = (width, height) * 2
    return [round(1000 * min(max(number / size, 0), 1)) for number, size in zip(corners, sizes, strict=False)]


def write_messages(samples: Sequence[Sample], path: Path) -> None:
    """Write samples one JSON object a line, whole or not at all; `read_messages` gives the same samples again.

    The content is blocks, which hold any text. Raises InputError that names the samples that are not prepared.
    """
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in check_writable(samples, _row)]
    write_text(path, "".join(lines))


def _row(sample: Sample) -> dict[str, object]:
    return {
        "id": sample.meta.scenario,
        "messages": list(sample.messages),
        "images": list(sample.images),
        **meta_to_write(sample),
        **preference_to_write(sample),
    }


def recognise(listing: Listing) -> Certainty:
    talks = (listing.head(name) for name in listing.data_files(".json", ".jsonl"))
    return Certainty.LIKELY if any(first_key(head) in ("messages", "prompt") for head in talks) else Certainty.NO


SOURCE = ConversationSource(
    read_messages, recognise=recognise, looks_for="JSON with messages, or prompt and completion"
)
