"""The box files of the WTS data set: `{"annotations": [{"image_id", "bbox": [x, y, width, height], "phase_number"}]}`.

Every value is taken by type and range as it has really been written (numbers or strings, phases as digits or words).
What cannot be used is left out and noted with its place.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from cityscribe.entries import EntryModel, Pixels, WholeNumber, checked
from cityscribe.files import InputError, read_json
from cityscribe.records import Level, Note
from cityscribe.traffic.captions import phase_number
from cityscribe.traffic.scenario import Box
from cityscribe.values import shown

MAX_IMAGE_ID = 1e9
"""Larger values than this are slips of the pen, not frames of a video."""

ImageId = Annotated[WholeNumber, Field(ge=0, le=MAX_IMAGE_ID)]
"""The number of a frame as the annotation counts."""


class _Entry(EntryModel):
    """One box."""

    image_id: ImageId = Field(description="a frame number; the box is left out")
    bbox: tuple[Pixels, Pixels, Pixels, Pixels] = Field(description="x, y, width, height in pixels; left out")
    phase_number: Any = None


def read_box_file(path: Path, note: Note, *, generated: bool) -> tuple[Box, ...]:
    """Read a box file, in order of image_id. Boxes that cannot be used are left out with a warning each."""
    if not os.path.isfile(path):
        note("error", "", "is not a file")
        return ()
    try:
        record = read_json(path)
    except InputError as error:
        note("error", "", str(error).removeprefix(f"{path}: "))
        return ()
    entries = record.get("annotations") if isinstance(record, dict) else record
    if not isinstance(entries, list):
        note("error", "annotations", f"is {shown(entries)}, expected a list of boxes")
        return ()
    boxes = [_box(entry, f"annotations[{place}]", note, generated) for place, entry in enumerate(entries)]
    return tuple(sorted((box for box in boxes if box is not None), key=lambda box: box.image_id))


def entry_of_box(entries: list[Any], box: Box) -> int | None:
    """The place in a list of annotations of the entry that `read_box_file` reads as this box, to be corrected there;
    None where there is none."""
    for place, entry in enumerate(entries):
        if _box(entry, "", _silent, box.generated) == box:
            return place
    return None


def _silent(level: Level, place: str, message: str) -> None:
    pass


def _box(entry: Any, place: str, note: Note, generated: bool) -> Box | None:
    if not isinstance(entry, dict):
        note("warning", place, f"is {shown(entry)}, expected a box; left out")
        return None
    found = checked(_Entry, entry, note, place)
    if found is None:
        return None
    if found.bbox[2] <= 0 or found.bbox[3] <= 0:
        note("warning", f"{place}.bbox", f"is {found.bbox[2]:g} by {found.bbox[3]:g} pixels; left out")
        return None
    label = found.phase_number
    phase = phase_number(label)
    if phase is None and not (generated and label in (None, "")):
        note("warning", f"{place}.phase_number", f"is {shown(label)}, which is no phase; the box belongs to none")
    return Box(found.image_id, found.bbox, phase, generated)
