"""The caption files of WTS: what one says, for the readers of the data set and for the scores alike.

    {"id": 722, "overhead_videos": ["20230707_8_SN46_T1.mp4"], "event_phase": [
        {"labels": ["4"], "start_time": "39.395", "end_time": "44.663",
         "caption_pedestrian": "The pedestrian ...", "caption_vehicle": "The vehicle ..."}, ...]}

A file holds one record, alone or in a list. Labels are digits or words. Of a phase that stands twice the first counts.
What cannot be used is left out and noted with its place. There are two views of a file: `read_caption_file` gives the
phases whose times and labels are beyond doubt, which `prepare` needs; `read_segments` gives the words of each phase as
the official evaluator sees them, whatever its times, by the first of its labels.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BeforeValidator, Field

from cityscribe.entries import EntryModel, Number, checked
from cityscribe.files import InputError, read_json
from cityscribe.records import Level, Note
from cityscribe.traffic.scenario import PHASES, ROLES, Phase
from cityscribe.values import finite, shown

MAX_TIME_S = 1e6
"""Larger values are slips of the pen, not times of a video."""

CaptionSeconds = Annotated[Number, Field(ge=-MAX_TIME_S, le=MAX_TIME_S)]

VIDEO_KEYS = ("overhead_videos", "vehicle_view", "vehicle_views", "video_name")
EXPECTED_LABEL = f"one of 0 to {len(PHASES) - 1} or {', '.join(PHASES)}"


class CaptionFile(NamedTuple):
    """The phases of a view, and the videos that the file is about."""

    phases: tuple[Phase, ...]  # in the order of PHASES
    videos: tuple[tuple[str, str], ...]  # file names of the videos, each with its place


class Segment(NamedTuple):
    """What is said of one phase."""

    label: str  # of the phase, as it is spelled
    captions: dict[str, str]  # role -> caption; a reference without one is empty


Segments = dict[int, Segment]
"""By phase, an index into PHASES."""


def _phase_of(label: Any) -> int:
    number = phase_number(label)
    if number is None:
        raise ValueError("no phase")
    return number


def _one_phase(labels: Any) -> int:
    if isinstance(labels, list) and len({phase_number(label) for label in labels}) > 1:
        raise ValueError("several phases")
    return _phase_of(labels)


class _Record(EntryModel):
    """A caption file."""

    event_phase: tuple[Any, ...] = Field(min_length=1, description="a list of phases")
    overhead_videos: Any = None
    vehicle_view: Any = None
    vehicle_views: Any = None
    video_name: Any = None


class _Said(EntryModel):
    """An entry of `event_phase`. Of labels that differ the first counts."""

    labels: Annotated[int, BeforeValidator(_phase_of)] = Field(description=f"{EXPECTED_LABEL}; the phase is left out")
    caption_pedestrian: Any = None
    caption_vehicle: Any = None

    def caption(self, role: str) -> Any:
        return self.caption_vehicle if role == "vehicle" else self.caption_pedestrian


class _Timed(_Said):
    """One whose labels mean one phase, with its times."""

    labels: Annotated[int, BeforeValidator(_one_phase)] = Field(description=f"{EXPECTED_LABEL}; the phase is left out")
    start_time: Any = None
    end_time: Any = None


class _Span(EntryModel):
    """The times of a phase in seconds."""

    start_time: CaptionSeconds = Field(description="seconds; the phase is left out")
    end_time: CaptionSeconds = Field(description="seconds; the phase is left out")


Said = TypeVar("Said", bound=_Said)


def read_caption_file(path: Path, note: Note, *, withheld: bool) -> CaptionFile | None:
    """The phases with times of a caption file; None, with an error noted, where nothing of it can be used.

    `withheld` says that captions may be missing, as in a test set; there and elsewhere a missing caption is "".
    """
    record = _record(path, note)
    if record is None:
        return None
    phases: dict[int, Phase] = {}
    for index, _, entry in _phase_entries(record, _Timed, note):
        place = _place(index)
        number, times = entry.labels, _times(entry, place, note)
        if times is not None and not _again(number, phases, place, note):
            captions = {role: _caption(entry, role, place, note, withheld) for role in ROLES}
            phases[number] = Phase(number, *times, captions)
    return CaptionFile(tuple(phases[number] for number in sorted(phases)), _videos(record, note))


def read_segments(path: Path, note: Note) -> Segments:
    """The captions of a file by phase, to be scored; what is no text is as good as no caption."""
    record = _record(path, note)
    segments: Segments = {}
    for index, label, entry in () if record is None else _phase_entries(record, _Said, note):
        if _again(entry.labels, segments, _place(index), note):
            continue
        given = {role: entry.caption(role) for role in ROLES}
        texts = {role: text if isinstance(text, str) else "" for role, text in given.items()}
        segments[entry.labels] = Segment(label, texts)
    return segments


def phase_entry(record: Any, number: int) -> dict[str, Any] | None:
    """The entry of a caption file's JSON that `read_caption_file` takes for a phase, to be corrected in its place; None
    where it takes none."""
    whole = record[0] if isinstance(record, list) and len(record) == 1 else record
    if not isinstance(whole, dict):
        return None
    known = checked(_Record, whole, _silent, "")
    for index, _, entry in () if known is None else _phase_entries(known, _Timed, _silent):
        if entry.labels == number and _times(entry, "", _silent) is not None:
            found: dict[str, Any] = whole["event_phase"][index]
            return found
    return None


def _silent(level: Level, place: str, message: str) -> None:
    pass


def first_label(labels: Any) -> Any:
    """The label that counts of the `labels` of an entry, which may be a list or one label."""
    return (labels[0] if labels else None) if isinstance(labels, list) else labels


def phase_number(labels: Any) -> int | None:
    """The phase (index into PHASES) that labels mean: a digit, as number or string, or a word; else None."""
    label = first_label(labels)
    if isinstance(label, str):
        word = "".join(letter for letter in label.casefold() if letter.isalpha())
        if word in PHASES:
            return PHASES.index(word)
    number = finite(label)
    return int(number) if number is not None and number in range(len(PHASES)) else None


def _record(path: Path, note: Note) -> _Record | None:
    """The record of a caption file; None, noted, where there is none."""
    if not os.path.isfile(path):
        note("error", "", "is not a file")
        return None
    try:
        record = read_json(path)
    except InputError as error:
        note("error", "", str(error).removeprefix(f"{path}: "))
        return None
    if isinstance(record, list) and len(record) != 1:
        note("error", "", f"holds {len(record)} records, expected one")
        return None
    if isinstance(record, list):
        record = record[0]
    if not isinstance(record, dict):
        note("error", "", f"holds {shown(record)}, expected a record with event_phase")
        return None
    return checked(_Record, record, note, "", level="error")


def _phase_entries(record: _Record, kind: type[Said], note: Note) -> Iterator[tuple[int, str, Said]]:
    """The phases of a record that have a label: index, label as it is spelled, what stands there."""
    for index, entry in enumerate(record.event_phase):
        place = _place(index)
        if not isinstance(entry, dict):
            note("error", place, f"is {shown(entry)}, expected a phase")
        elif (said := checked(kind, entry, note, place, level="error")) is not None:
            yield index, str(first_label(entry["labels"])), said


def _place(index: int) -> str:
    return f"event_phase[{index}]"


def _again(number: int, seen: Container[int], place: str, note: Note) -> bool:
    """Whether a phase was there already, which is noted."""
    if number in seen:
        note("error", f"{place}.labels", f"phase {number} ({PHASES[number]}) again; the first one counts")
    return number in seen


def _times(entry: _Timed, place: str, note: Note) -> tuple[float, float] | None:
    """Start and end of a phase in seconds; None, noted, where they are none."""
    given = {"start_time": entry.start_time, "end_time": entry.end_time}
    span = checked(_Span, given, note, place, level="error")
    if span is None:
        return None
    start_s, end_s = span.start_time, span.end_time
    if end_s < start_s or end_s < 0:
        why = f"ends at {end_s} s, before its start at {max(start_s, 0.0)} s; the phase is left out"
        note("error", f"{place}.end_time", why)
        return None
    if start_s < 0:
        note("warning", f"{place}.start_time", f"starts at {start_s} s, before the video; 0 s is used")
    return max(start_s, 0.0), end_s


def _caption(entry: _Said, role: str, place: str, note: Note, withheld: bool) -> str:
    value = entry.caption(role)
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode("utf-8")
        if text != value:
            why = "has halves of surrogate pairs, which are no characters; replaced by ?"
            note("warning", f"{place}.caption_{role}", why)
        return text
    if value is not None or not withheld:
        note("warning", f"{place}.caption_{role}", f"is {shown(value)}, expected text; taken as empty")
    return ""


def _videos(record: _Record, note: Note) -> tuple[tuple[str, str], ...]:
    names: list[tuple[str, str]] = []
    for key in VIDEO_KEYS:
        value = getattr(record, key)
        if value is None:
            continue
        entries = [(value, key)] if not isinstance(value, list) else [(v, f"{key}[{i}]") for i, v in enumerate(value)]
        for name, place in entries:
            if isinstance(name, str) and name.strip():
                names.append((name.strip(), place))
            else:
                note("warning", place, f"is {shown(name)}, expected the name of a video")
    return tuple(names)
