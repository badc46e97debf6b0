"""COCO JSON with boxes: `images`, `annotations` (bbox is x, y, width, height in pixels) and `categories`.

frame    `frame_id`, `frame_index` or `frame` of the image, or the number at the end of its name, counted from 0;
         from 1 for images in a folder `img1`, as the MOT challenge numbers them
video    that of `video_id`, or the folder or name before the number, or what the file itself is named after
track    `track_id` or `instance_id` of the annotation, or among its `attributes`, as CVAT writes it
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cityscribe.entries import EntryModel, Name, checked
from cityscribe.sources.boxes import BoxFormat
from cityscribe.sources.boxes.track import (
    BoxesByTrack,
    Tracks,
    Videos,
    box_of,
    frame_of_image,
    grouped,
    merge,
    turned,
    video_of_file,
)
from cityscribe.sources.intake import UNREADABLE, Intake
from cityscribe.sources.videos import stem_of
from cityscribe.values import finite, name_of, plain_text, shown

TRACK_KEYS = ("track_id", "instance_id")
FRAME_KEYS = ("frame_id", "frame_index", "frame")


class _ImageEntry(EntryModel):
    """An image of the file."""

    id: Name


class _Image(NamedTuple):
    video: str
    frame: float | None


def read_coco(intake: Intake, files: Sequence[Path], videos: Videos) -> Tracks:
    """The tracks of the files by video; boxes without the name of a track are one track a category and video."""
    tracks: Tracks = {}
    for path in files:
        merge(tracks, _read(intake, path, videos))
    return tracks


def _read(intake: Intake, path: Path, videos: Videos) -> Tracks:
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
    labels = {name_of(r.get("id")): plain_text(r.get("name")) or "" for r in lists["categories"] if isinstance(r, dict)}
    images = _images(intake, path, value, lists["images"], videos)
    found: BoxesByTrack = {}
    named: set[str] = set()
    for number, row in enumerate(lists["annotations"]):
        place = f"annotations[{number}]"
        image = images.get(name_of(row.get("image_id"))) if isinstance(row, dict) else None
        if image is None:
            note("warning", place, "is of no image of the file; left out")
            continue
        label = labels.get(name_of(row.get("category_id")))
        box = box_of(note, place, image.frame, _numbers(row.get("bbox")))
        if label is None:
            why = f"is {shown(row.get('category_id'))}, which is no category; left out"
            note("warning", f"{place}.category_id", why)
        elif box is not None:
            given = row.get("attributes")
            attributes = given if isinstance(given, dict) else {}
            key, track = _track(row, attributes)
            named.add(key)
            box = turned(box, finite(attributes.get("rotation")))
            found.setdefault((image.video, label, track or label), []).append(box)
    said = " and ".join(sorted(named - {""})) or "none"
    note("note", "", f"read as COCO: tracks by {said}, frames by {_frames_said(lists['images'])}")
    return grouped(found)


def _track(row: dict[str, Any], attributes: dict[str, Any]) -> tuple[str, str]:
    """The name of the track of an annotation and the key that gave it; both empty where there is none."""
    for where, values in (("", row), ("attributes.", attributes)):
        for key in TRACK_KEYS:
            name = name_of(values.get(key))
            if name is not None:
                return f"{where}{key}", name
    return "", ""


def _images(
    intake: Intake, path: Path, value: dict[str, Any], rows: list[Any], videos: Videos
) -> dict[str | None, _Image]:
    listed = value.get("videos")
    clips = {
        name_of(row.get("id")): plain_text(row.get("name")) or plain_text(row.get("file_name"))
        for row in (listed if isinstance(listed, list) else [])
        if isinstance(row, dict)
    }
    note = intake.note(path)
    images: dict[str | None, _Image] = {}
    for number, row in enumerate(rows):
        image = checked(_ImageEntry, row, note, f"images[{number}]", whole="an image with an id; left out")
        if image is None:
            continue
        file = (plain_text(row.get("file_name")) or "").replace("\\", "/")
        name, in_name = frame_of_image(file)
        given = next((finite(row[key]) for key in FRAME_KEYS if key in row), None)
        frame = in_name if given is None else given
        if "img1" in file.split("/")[:-1] and frame is not None and frame == in_name:
            frame -= 1
        clip = clips.get(name_of(row.get("video_id")))
        video = stem_of(clip) if clip else name or video_of_file(intake, path)
        images[image.id] = _Image(videos.named(video), frame)
    return images


def _frames_said(rows: list[Any]) -> str:
    row = next((row for row in rows if isinstance(row, dict)), {})
    key = next((key for key in FRAME_KEYS if key in row), "the numbers in the names of images")
    file = plain_text(row.get("file_name")) or ""
    return f"{key}, counted from {1 if 'img1' in file.replace(chr(92), '/').split('/')[:-1] else 0}"


def _numbers(corners: Any) -> list[float | None]:
    return [finite(value) for value in corners] if isinstance(corners, list) and len(corners) == 4 else []


FORMAT = BoxFormat(claims=lambda path, head: path.suffix.lower() == ".json", read=read_coco)
