"""Label Studio JSON export: rectangles on images and in videos, as shares of a hundred of the frame.

    [{"data": {"video": ".../1fd99634-clip.mp4"}, "annotations": [{"result": [
        {"type": "videorectangle", "original_width": 1920, "original_height": 1080, "value": {"labels": ["Car"],
         "framesCount": 94, "duration": 3.9, "sequence": [
            {"frame": 12, "time": 0.5, "x": 10, "y": 20, "width": 5, "height": 5, "enabled": true}]}}]}]}]

The tool numbers frames by a rate of its own (24 a second unless the labelling page says otherwise), whatever that of
the video is; a keyframe was drawn on what the video shows at `time`. Where no video is here to tell its rate, `frame`
is taken as the number of a frame counted from 1. Between two keyframes a box moves linearly, and ends at one that is
not enabled. A file that was uploaded has eight digits before its name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cityscribe.entries import EntryModel, checked
from cityscribe.records import Note
from cityscribe.sources.boxes import BoxFormat
from cityscribe.sources.boxes.track import (
    BoxesByTrack,
    Track,
    Tracks,
    Videos,
    box_of,
    frame_of_image,
    grouped,
    interpolated,
    merge,
    turned,
)
from cityscribe.sources.intake import UNREADABLE, Intake
from cityscribe.sources.videos import stem_of
from cityscribe.traffic.scenario import Box
from cityscribe.values import finite, name_of, plain_text, shown

SIZES = ("x", "y", "width", "height")
RATE = 24.0
"""Frames a second that the tool numbers by where its page says nothing else."""
EPSILON = 1e-3
"""Share of a frame by which a time may fall short of the frame that it names."""


@dataclass(slots=True)
class _Export:
    """What one file gave so far."""

    note: Note
    videos: Videos
    tracks: Tracks = field(default_factory=dict)
    single: BoxesByTrack = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)  # kinds of regions that are no boxes


def read_label_studio(intake: Intake, files: Sequence[Path], videos: Videos) -> Tracks:
    """The tracks of the exports by video. Boxes need the size of the frame, in the export or of the video."""
    tracks: Tracks = {}
    for path in files:
        tasks = intake.json(path)
        if tasks is UNREADABLE:
            continue
        export = _Export(intake.note(path), videos)
        for number, task in enumerate(tasks if isinstance(tasks, list) else [tasks]):
            _task(export, f"[{number}]", task)
        merge(tracks, export.tracks)
        merge(tracks, grouped(export.single))
        for rule, count in export.rules.items():
            export.note("note", "", f"{count} regions read as Label Studio: {rule}")
        for kind, count in export.others.items():
            export.note("note", "", f"has {count} of type {kind}, which are no boxes; left out")
    return tracks


class _TaskEntry(EntryModel):
    """One task: what was shown, and what each annotator drew."""

    data: dict[str, Any]
    annotations: list[Any]


def _task(export: _Export, place: str, task: Any) -> None:
    read = checked(_TaskEntry, task, export.note, place, whole="a task with data and annotations", level="error")
    if read is None:
        return
    named = [read.data.get(key) for key in ("video", "image", "url")] + list(read.data.values())
    address = next((plain_text(name) for name in named if isinstance(name, str)), None)
    if address is None:
        export.note("error", f"{place}.data", "names no video and no image")
        return
    for index, annotation in enumerate(read.annotations):
        here = f"{place}.annotations[{index}]"
        results = annotation.get("result") if isinstance(annotation, dict) else None
        if not isinstance(results, list):
            export.note("error", f"{here}.result", f"is {shown(results)}, expected a list")
        elif annotation.get("was_cancelled") is True:
            export.note("warning", here, "was cancelled by who drew it; left out")
        else:
            for count, result in enumerate(results):
                _result(export, f"{here}.result[{count}]", result, address)


def _result(export: _Export, place: str, result: Any, address: str) -> None:
    kind = result.get("type") if isinstance(result, dict) else None
    value = result.get("value") if isinstance(result, dict) else None
    if kind not in ("videorectangle", "rectanglelabels") or not isinstance(value, dict):
        export.others[plain_text(kind) or "regions without a type"] += 1
        return
    of_video = kind == "videorectangle"
    video, number = (stem_of(address), None) if of_video else frame_of_image(address)
    video = export.videos.named(video)
    info = export.videos.info(video)
    size = [finite(result.get(key)) for key in ("original_width", "original_height")]
    if info is not None and (size[0] is None or size[1] is None):
        size = [float(info.width), float(info.height)]
        export.rules["sizes from the video"] += 1
    if size[0] is None or size[1] is None:
        why = "has no original_width and original_height, and no video of its name is here to say them; left out"
        export.note("warning", place, why)
        return
    labels = value.get("labels") or value.get("rectanglelabels")
    label = (plain_text(labels[0]) if isinstance(labels, list) and labels else None) or ""
    scale = (size[0] / 100, size[1] / 100)
    if not of_video:
        box = _box(export.note, place, number or 0, value, scale)
        export.rules["frames by the number in the name of the image, counted from 0"] += 1
        if box is not None:
            export.single.setdefault((video, label, label), []).append(box)
        return
    keys = _keyframes(export, f"{place}.value", value, scale, None if info is None else info.fps)
    boxes = interpolated([keys[frame] for frame in sorted(keys)])
    if boxes:
        export.tracks.setdefault(video, []).append(Track(name_of(result.get("id")) or place, label, boxes))


def _keyframes(
    export: _Export, place: str, value: dict[str, Any], scale: tuple[float, float], fps: float | None
) -> dict[int, tuple[Box, bool]]:
    """The keyframes of a region by frame of the video, each with whether the object is visible from it on."""
    sequence = value.get("sequence")
    keys: dict[int, tuple[Box, bool]] = {}
    rules: Counter[str] = Counter()
    rate = _own_rate(value)
    for index, key in enumerate(sequence if isinstance(sequence, list) else []):
        here = f"{place}.sequence[{index}]"
        if not isinstance(key, dict):
            export.note("warning", here, f"is {shown(key)}, expected a keyframe; left out")
            continue
        frame, time_s = finite(key.get("frame")), finite(key.get("time"))
        if fps is None:
            rules["frames as the tool counts them, from 1, because no video is here to say its rate"] += 1
            at = None if frame is None else frame - 1
        elif time_s is not None:
            rules[f"frames by the time of each keyframe, at the {fps:g} a second of the video"] += 1
            at = float(int(time_s * fps + EPSILON)) if 0 <= time_s < 1e6 else None
        else:
            rules[f"frames by number at {rate:g} a second, at the {fps:g} a second of the video"] += 1
            at = float(int(frame / rate * fps + EPSILON)) if frame is not None and 0 <= frame < 1e8 else None
        box = _box(export.note, here, at, key, scale)
        if box is not None:
            keys[box.image_id] = (box, key.get("enabled") is not False)
    export.rules.update(set(rules))
    return keys


def _own_rate(value: dict[str, Any]) -> float:
    """The rate by which the tool numbers the frames of a region: that of its whole length, or else its default."""
    count, duration_s = finite(value.get("framesCount")), finite(value.get("duration"))
    if not count or not duration_s or not 0 < count < 1e8 or not 0 < duration_s < 1e6:
        return RATE
    rate = count / duration_s  # the count is rounded up
    return RATE if (count - 1) / duration_s <= RATE <= rate else rate


def _box(note: Note, place: str, frame: float | None, shares: dict[str, Any], scale: tuple[float, float]) -> Box | None:
    numbers = [finite(shares.get(key)) for key in SIZES]
    xywh = [None if n is None else n * scale[index % 2] for index, n in enumerate(numbers)]
    box = box_of(note, place, frame, xywh)
    return None if box is None else turned(box, finite(shares.get("rotation")), about_corner=True)


def _claims(path: Path, head: str) -> bool:
    return path.suffix.lower() == ".json" and head.lstrip("\ufeff \t\r\n").startswith("[")


FORMAT = BoxFormat(claims=_claims, read=read_label_studio)
