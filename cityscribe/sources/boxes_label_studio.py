"""Label Studio JSON export: rectangles on images and in videos, as shares of a hundred of the frame.

    [{"data": {"video": ".../clip.mp4"}, "annotations": [{"result": [
        {"type": "videorectangle", "original_width": 1920, "original_height": 1080, "value": {"labels": ["Car"],
         "sequence": [{"frame": 1, "x": 10, "y": 20, "width": 5, "height": 5, "enabled": true}]}}]}]}]

Frames count from 1; between two keyframes a box moves linearly, and ends at one that is not enabled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cityscribe.records import Note
from cityscribe.sources.boxes_coco import grouped
from cityscribe.sources.boxes_cvat import frame_of_image
from cityscribe.sources.intake import UNREADABLE, Intake
from cityscribe.sources.tracks import Track, Tracks, box_of, interpolated
from cityscribe.sources.videos import stem_of
from cityscribe.traffic.scenario import Box
from cityscribe.values import finite, name_of, plain_text, shown

SIZES = ("x", "y", "width", "height")


def read_label_studio(intake: Intake, path: Path) -> Tracks:
    """The tracks of one export by video. Boxes need `original_width` and `original_height`, as exports have them."""
    tasks = intake.json(path)
    if tasks is UNREADABLE:
        return {}
    note = intake.note(path)
    tracks: Tracks = {}
    single: dict[tuple[str, str, str], list[Box]] = {}
    for number, task in enumerate(tasks if isinstance(tasks, list) else [tasks]):
        place = f"[{number}]"
        data = task.get("data") if isinstance(task, dict) else None
        annotations = task.get("annotations") if isinstance(task, dict) else None
        if not isinstance(data, dict) or not isinstance(annotations, list):
            note("error", place, f"is {shown(task)}, expected a task with data and annotations")
            continue
        address = next(
            (plain_text(data[key]) for key in ("video", "image", "url") if isinstance(data.get(key), str)), None
        )
        if address is None:
            note("error", f"{place}.data", "names no video and no image")
            continue
        for index, annotation in enumerate(annotations):
            results = annotation.get("result") if isinstance(annotation, dict) else None
            if not isinstance(results, list):
                note("error", f"{place}.annotations[{index}].result", f"is {shown(results)}, expected a list")
                continue
            for count, result in enumerate(results):
                here = f"{place}.annotations[{index}].result[{count}]"
                _result(note, here, result, address, tracks, single)
    for video, found in grouped(single).items():
        tracks.setdefault(video, []).extend(found)
    return tracks


def _result(
    note: Note,
    place: str,
    result: Any,
    address: str,
    tracks: Tracks,
    single: dict[tuple[str, str, str], list[Box]],
) -> None:
    kind = result.get("type") if isinstance(result, dict) else None
    value = result.get("value") if isinstance(result, dict) else None
    if kind not in ("videorectangle", "rectanglelabels") or not isinstance(value, dict):
        return  # texts, choices and other regions stand beside the boxes
    size = [finite(result.get(key)) for key in ("original_width", "original_height")]
    if size[0] is None or size[1] is None:
        note("warning", place, "has no original_width and original_height; left out")
        return
    labels = value.get("labels") or value.get("rectanglelabels")
    label = plain_text(labels[0]) if isinstance(labels, list) and labels else None
    scale = (size[0] / 100, size[1] / 100)
    if kind == "rectanglelabels":
        name, number = frame_of_image(address)
        box = _box(note, place, number or 0, value, scale)
        if box is not None:
            single.setdefault((name, label or "", label or ""), []).append(box)
        return
    keys: dict[int, tuple[Box, bool]] = {}
    sequence = value.get("sequence")
    for index, key in enumerate(sequence if isinstance(sequence, list) else []):
        here = f"{place}.value.sequence[{index}]"
        if not isinstance(key, dict):
            note("warning", here, f"is {shown(key)}, expected a keyframe; left out")
            continue
        frame = finite(key.get("frame"))
        box = _box(note, here, None if frame is None else frame - 1, key, scale)
        if box is not None:
            keys[box.image_id] = (box, key.get("enabled") is not False)
    boxes = interpolated([keys[frame] for frame in sorted(keys)])
    if boxes:
        name = name_of(result.get("id")) or place
        tracks.setdefault(stem_of(address), []).append(Track(name, label or "", boxes))


def _box(note: Note, place: str, frame: float | None, shares: dict[str, Any], scale: tuple[float, float]) -> Box | None:
    numbers = [finite(shares.get(key)) for key in SIZES]
    xywh = [None if n is None else n * scale[index % 2] for index, n in enumerate(numbers)]
    return box_of(note, place, frame, xywh)
