"""What one JSON file of the WTS data set says: the phases of a caption file, the boxes of a box file.

Every value is taken by type and range as it has really been written (times and boxes as numbers or strings, labels as
digits or words, a record alone or in a list). What cannot be used is left out and noted with its place.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from cityscribe.files import InputError, read_json
from cityscribe.sources.intake import MAX_PIXELS, Note, finite, shown
from cityscribe.traffic.scenario import PHASES, ROLES, Box, Phase

MAX_TIME_S = 1e6
MAX_IMAGE_ID = 1e9
"""Larger values than these are slips of the pen, not times, places and frames of a video."""

VIDEO_KEYS = ("overhead_videos", "vehicle_view", "vehicle_views", "video_name")


class CaptionFile(NamedTuple):
    phases: tuple[Phase, ...]
    videos: tuple[tuple[str, str], ...]  # file names of the videos that it is about, each with its place


def read_caption_file(path: Path, note: Note, *, withheld: bool) -> CaptionFile | None:
    """Read a caption file; None, with an error noted, where nothing of it can be used.

    `withheld` says that captions may be missing, as in a test set; there and elsewhere a missing caption is "".
    """
    record = _load(path, note)
    if isinstance(record, list):
        if len(record) != 1:
            note("error", "", f"holds {len(record)} records, expected one")
            return None
        record = record[0]
    if not isinstance(record, dict):
        if record is not _UNREADABLE:
            note("error", "", f"holds {shown(record)}, expected a record with event_phase")
        return None
    return CaptionFile(_phases(record, note, withheld), _videos(record, note))


def read_box_file(path: Path, note: Note, *, generated: bool) -> tuple[Box, ...]:
    """Read a box file, in order of image_id. Boxes that cannot be used are left out with a warning each."""
    record = _load(path, note)
    if record is _UNREADABLE:
        return ()
    entries = record.get("annotations") if isinstance(record, dict) else record
    if not isinstance(entries, list):
        note("error", "annotations", f"is {shown(entries)}, expected a list of boxes")
        return ()
    boxes = [_box(entry, f"annotations[{place}]", note, generated) for place, entry in enumerate(entries)]
    return tuple(sorted((box for box in boxes if box is not None), key=lambda box: box.image_id))


def phase_number(label: Any) -> int | None:
    """The phase (index into PHASES) that a label means: a digit, as number or string, or a word; else None."""
    if isinstance(label, str):
        word = "".join(letter for letter in label.casefold() if letter.isalpha())
        if word in PHASES:
            return PHASES.index(word)
    number = finite(label)
    return int(number) if number is not None and number in range(len(PHASES)) else None


_UNREADABLE = object()


def _load(path: Path, note: Note) -> Any:
    if not os.path.isfile(path):
        note("error", "", "is not a file")
        return _UNREADABLE
    try:
        return read_json(path)
    except (InputError, ValueError) as error:  # ValueError: an integer of more digits than Python converts
        note("error", "", str(error).removeprefix(f"{path}: "))
        return _UNREADABLE


def _videos(record: dict[str, Any], note: Note) -> tuple[tuple[str, str], ...]:
    names: list[tuple[str, str]] = []
    for key in VIDEO_KEYS:
        value = record.get(key)
        if value is None:
            continue
        entries = [(value, key)] if not isinstance(value, list) else [(v, f"{key}[{i}]") for i, v in enumerate(value)]
        for name, place in entries:
            if isinstance(name, str) and name.strip():
                names.append((name.strip(), place))
            else:
                note("warning", place, f"is {shown(name)}, expected the name of a video")
    return tuple(names)


def _phases(record: dict[str, Any], note: Note, withheld: bool) -> tuple[Phase, ...]:
    entries = record.get("event_phase")
    if not isinstance(entries, list) or not entries:
        note("error", "event_phase", f"is {shown(entries)}, expected a list of phases")
        return ()
    phases: dict[int, Phase] = {}
    for place, entry in enumerate(entries):
        phase = _phase(entry, f"event_phase[{place}]", note, withheld)
        if phase is None:
            continue
        if phase.number in phases:
            note(
                "error",
                f"event_phase[{place}].labels",
                f"phase {phase.number} ({PHASES[phase.number]}) again; only the first one is used",
            )
            continue
        phases[phase.number] = phase
    return tuple(phases[number] for number in sorted(phases))


def _phase(entry: Any, place: str, note: Note, withheld: bool) -> Phase | None:
    if not isinstance(entry, dict):
        note("error", place, f"is {shown(entry)}, expected a phase")
        return None
    labels = entry.get("labels")
    numbers = {phase_number(label) for label in labels} if isinstance(labels, list) else {phase_number(labels)}
    number = numbers.pop() if len(numbers) == 1 else None
    if number is None:
        note("error", f"{place}.labels", f"is {shown(labels)}, expected one of 0 to 4 or {', '.join(PHASES)}")
        return None
    times_s: list[float] = []
    for key in ("start_time", "end_time"):
        time_s = finite(entry.get(key))
        if time_s is None or abs(time_s) > MAX_TIME_S:
            note("error", f"{place}.{key}", f"is {shown(entry.get(key))}, expected seconds; the phase is left out")
            return None
        times_s.append(time_s)
    start_s, end_s = times_s
    if end_s < start_s or end_s < 0:
        note(
            "error",
            f"{place}.end_time",
            f"ends at {end_s} s, before its start at {max(start_s, 0.0)} s; the phase is left out",
        )
        return None
    if start_s < 0:
        note("warning", f"{place}.start_time", f"starts at {start_s} s, before the video; 0 s is used")
        start_s = 0.0
    captions = {role: _caption(entry, role, place, note, withheld) for role in ROLES}
    return Phase(number, start_s, end_s, captions)


def _caption(entry: dict[str, Any], role: str, place: str, note: Note, withheld: bool) -> str:
    value = entry.get(f"caption_{role}")
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode("utf-8")
        if text != value:
            note(
                "warning",
                f"{place}.caption_{role}",
                "has halves of surrogate pairs, which are no characters; replaced by ?",
            )
        return text
    if value is not None or not withheld:
        note("warning", f"{place}.caption_{role}", f"is {shown(value)}, expected text; taken as empty")
    return ""


def _box(entry: Any, place: str, note: Note, generated: bool) -> Box | None:
    if not isinstance(entry, dict):
        note("warning", place, f"is {shown(entry)}, expected a box; left out")
        return None
    image_id = finite(entry.get("image_id"))
    if image_id is None or image_id % 1 or not 0 <= image_id <= MAX_IMAGE_ID:
        note(
            "warning",
            f"{place}.image_id",
            f"is {shown(entry.get('image_id'))}, expected a frame number; the box is left out",
        )
        return None
    corners = entry.get("bbox")
    numbers = [finite(value) for value in corners] if isinstance(corners, list) else []
    xywh = [number for number in numbers if number is not None and abs(number) <= MAX_PIXELS]
    if len(numbers) != 4 or len(xywh) != 4:
        note("warning", f"{place}.bbox", f"is {shown(corners)}, expected x, y, width, height in pixels; left out")
        return None
    if xywh[2] <= 0 or xywh[3] <= 0:
        note("warning", f"{place}.bbox", f"is {xywh[2]:g} by {xywh[3]:g} pixels; left out")
        return None
    label = entry.get("phase_number")
    phase = phase_number(label)
    if phase is None and not (generated and label in (None, "")):
        note("warning", f"{place}.phase_number", f"is {shown(label)}, which is no phase; the box belongs to none")
    return Box(int(image_id), (xywh[0], xywh[1], xywh[2], xywh[3]), phase, generated)
