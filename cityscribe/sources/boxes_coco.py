"""COCO JSON with boxes: `images`, `annotations` (bbox is x, y, width, height in pixels) and `categories`.

A frame of a video is known by `frame_id` or `frame_index` of its image, or by the number at the end of its name; a
track by `track_id` or `instance_id` of its annotations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cityscribe.sources.boxes_cvat import frame_of_image
from cityscribe.sources.intake import UNREADABLE, Intake
from cityscribe.sources.tracks import Track, Tracks, box_of
from cityscribe.sources.videos import stem_of
from cityscribe.traffic.scenario import Box
from cityscribe.values import finite, name_of, plain_text, shown


def read_coco(intake: Intake, path: Path) -> Tracks:
    """The tracks of one file by video; boxes without the name of a track are one track a category and video."""
    value = intake.json(path)
    if value is UNREADABLE:
        return {}
    note = intake.note(path)
    lists: dict[str, list[Any]] = {}
    for key in ("images", "annotations", "categories"):
        entries = value.get(key) if isinstance(value, dict) else None
        if not isinstance(entries, list):
            note("error", key, f"is {shown(entries)}, expected a list, as in COCO")
            return {}
        lists[key] = entries
    videos = value.get("videos")
    clips = {
        name_of(row.get("id")): plain_text(row.get("name")) or plain_text(row.get("file_name"))
        for row in (videos if isinstance(videos, list) else [])
        if isinstance(row, dict)
    }
    labels = {name_of(r.get("id")): plain_text(r.get("name")) or "" for r in lists["categories"] if isinstance(r, dict)}
    frames: dict[str | None, tuple[str, float | None]] = {}
    for number, row in enumerate(lists["images"]):
        if not isinstance(row, dict) or name_of(row.get("id")) is None:
            note("warning", f"images[{number}]", f"is {shown(row)}, expected an image with an id; left out")
            continue
        name, frame = frame_of_image(plain_text(row.get("file_name")) or "")
        clip = clips.get(name_of(row.get("video_id")))
        given = next((row[key] for key in ("frame_id", "frame_index", "frame") if key in row), frame)
        frames[name_of(row["id"])] = (stem_of(clip) if clip else name, finite(given))
    found: dict[tuple[str, str, str], list[Box]] = {}
    for number, row in enumerate(lists["annotations"]):
        place = f"annotations[{number}]"
        where = frames.get(name_of(row.get("image_id"))) if isinstance(row, dict) else None
        if where is None:
            note("warning", place, "is of no image of the file; left out")
            continue
        corners = row.get("bbox")
        box = box_of(note, place, where[1], _numbers(corners))
        label = labels.get(name_of(row.get("category_id")))
        if label is None:
            note(
                "warning", f"{place}.category_id", f"is {shown(row.get('category_id'))}, which is no category; left out"
            )
        elif box is not None:
            track = next((name_of(row[key]) for key in ("track_id", "instance_id") if row.get(key) is not None), None)
            found.setdefault((where[0], label, track or label), []).append(box)
    return grouped(found)


def grouped(found: dict[tuple[str, str, str], list[Box]]) -> Tracks:
    """Tracks by video from boxes by video, label and name, each in order of frames."""
    tracks: Tracks = {}
    for (video, label, name), boxes in found.items():
        ordered = tuple(sorted(boxes, key=lambda box: box.image_id))
        tracks.setdefault(video, []).append(Track(name, label, ordered))
    return tracks


def _numbers(corners: Any) -> list[float | None]:
    return [finite(value) for value in corners] if isinstance(corners, list) and len(corners) == 4 else []
