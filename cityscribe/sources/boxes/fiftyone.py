"""Boxes of a FiftyOne export, as shares of the frame.

    samples.json   {"samples": [{"_id", "filepath": "data/clip.mp4", "metadata": {"frame_width", "frame_height"},
                                 FIELD: {"_cls": "Detections", "detections": [DETECTION, ...]}}]}
    frames.json    {"frames": [{"_sample_id", "frame_number": 1, FIELD: {...}}]}             beside it, of videos
    labels.json    {"classes": [...], "labels": {"clip_12": [DETECTION, ...]}}               FiftyOneImageDetection
    DETECTION      {"label": "car", "bounding_box": [x, y, width, height], "index": 7}

Frames count from 1; `index` is the number of a track. All fields that hold detections are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from cityscribe.entries import EntryModel, checked
from cityscribe.files import InputError
from cityscribe.media.images import image_size
from cityscribe.media.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from cityscribe.media.video import probe
from cityscribe.sources.boxes import BoxFormat
from cityscribe.sources.boxes.track import BoxesByTrack, Tracks, Videos, box_of, frame_of_image, grouped, merge
from cityscribe.sources.intake import UNREADABLE, Intake
from cityscribe.sources.videos import stem_of
from cityscribe.values import finite, name_of, plain_text, shown

SAMPLES, FRAMES = "samples.json", "frames.json"
BEGINS = re.compile(r'[\s\ufeff]*\{\s*"(?:samples|classes|labels)"')
"""How the JSON files of an export begin."""

Size = tuple[float, float]


def read_fiftyone(intake: Intake, files: Sequence[Path], videos: Videos) -> Tracks:
    """The tracks of the files by video."""
    tracks: Tracks = {}
    for path in files:
        if path.name == SAMPLES or not path.with_name(SAMPLES).is_file():  # the others beside it belong to it
            for video, found in _read(intake, path).items():
                merge(tracks, {videos.named(video): found})
            what = "frames counted from 1, all fields that hold detections"
            intake.add("note", path, "", f"read as FiftyOne: {what}")
    return tracks


def _read(intake: Intake, path: Path) -> Tracks:
    """The tracks of `samples.json` with the `frames.json` beside it, or of a `labels.json`, by video.

    The size of a frame is that of the metadata, or else of the media file beside; boxes whose frame has none are left
    out. Boxes without an index are one track a label and video.
    """
    value = intake.json(path)
    found: BoxesByTrack = {}
    if value is UNREADABLE:
        return {}
    if "labels" in value:
        _labels(intake, path, value, found)
        return grouped(found)
    samples = value.get("samples")
    if not isinstance(samples, list):
        intake.add("error", path, "samples", f"is {shown(samples)}, expected a list of samples")
        return {}
    videos: dict[str, tuple[str, Size]] = {}
    for number, sample in enumerate(samples):
        place = f"samples[{number}]"
        name = plain_text(sample.get("filepath")) if isinstance(sample, dict) else None
        if not isinstance(sample, dict) or not name:
            intake.add("error", path, place, f"is {shown(sample)}, expected a sample with filepath")
            continue
        size = _size(sample.get("metadata"), path.parent / name.replace("\0", ""))
        if size is None:
            intake.add("error", path, f"{place}.metadata", "names no size, and the file is not here to ask")
            continue
        if name.lower().endswith(VIDEO_SUFFIXES):
            videos[_id(sample.get("_id"))] = (stem_of(name), size)
            for frame, fields in _inline_frames(sample.get("frames")):
                _fields(intake, path, f"{place}.frames.{frame}", fields, (stem_of(name), frame, size), found)
        else:
            clip, still = frame_of_image(name)
            _fields(intake, path, place, sample, (clip, (still or 0) + 1, size), found)
    beside = path.with_name(FRAMES)
    if beside.is_file():
        _frames(intake, beside, videos, found)
    return grouped(found)


def _frames(intake: Intake, path: Path, videos: dict[str, tuple[str, Size]], found: BoxesByTrack) -> None:
    value = intake.json(path)
    rows = value.get("frames") if isinstance(value, dict) else None
    if value is UNREADABLE:
        return
    if not isinstance(rows, list):
        intake.add("error", path, "frames", f"is {shown(rows)}, expected a list of frames")
        return
    for number, row in enumerate(rows):
        place = f"frames[{number}]"
        video = videos.get(_id(row.get("_sample_id"))) if isinstance(row, dict) else None
        if video is None:
            intake.add("warning", path, place, f"is {shown(row)}, which is of no video of {SAMPLES}; left out")
            continue
        _fields(intake, path, place, row, (video[0], finite(row.get("frame_number")), video[1]), found)


def _labels(intake: Intake, path: Path, value: dict[str, Any], found: BoxesByTrack) -> None:
    labels, classes = value["labels"], value.get("classes")
    if not isinstance(labels, dict):
        intake.add("error", path, "labels", f"is {shown(labels)}, expected boxes by image")
        return
    for name, detections in labels.items():
        if detections is None:
            continue
        place = f"labels.{name[:60]}"
        images = [path.parent / "data" / (name.replace("\0", "") + suffix) for suffix in ("", *IMAGE_SUFFIXES)]
        size = next((size for image in images if (size := _size(None, image)) is not None), None)
        if size is None:
            intake.add("error", path, place, "its image is not in data/, which says how large a box is")
            continue
        named = {"_cls": "Detections", "detections": detections}
        clip, still = frame_of_image(plain_text(name) or "")
        fields = {"labels": named}
        _fields(intake, path, place, fields, (clip, (still or 0) + 1, size), found, classes)


def _fields(
    intake: Intake,
    path: Path,
    place: str,
    row: dict[str, Any],
    where: tuple[str, float | None, Size],
    found: BoxesByTrack,
    classes: Any = None,
) -> None:
    """Take the boxes of all fields of a sample or frame. `where`: video, frame counted from 1, size in pixels."""
    video, frame, (width, height) = where
    note = intake.note(path)
    for key, field in row.items():
        if not isinstance(field, dict) or field.get("_cls") not in ("Detections", "Detection"):
            continue
        listed = field.get("detections") if field["_cls"] == "Detections" else [field]
        for number, detection in enumerate(listed if isinstance(listed, list) else [listed]):
            here = f"{place}.{plain_text(key)}[{number}]"
            read = checked(_Detection, detection, note, here, whole="a detection with bounding_box; left out")
            if read is None:
                continue
            scale = (width, height) * 2
            numbers = [None if n is None else n * s for n, s in zip(map(finite, read.bounding_box), scale, strict=True)]
            box = box_of(note, here, None if frame is None else frame - 1, numbers)
            label = detection.get("label")
            if isinstance(classes, list) and isinstance(label, int) and 0 <= label < len(classes):
                label = classes[label]
            if box is not None:
                text = plain_text(label) or ""
                found.setdefault((video, text, _track(detection) or text), []).append(box)


class _Detection(EntryModel):
    """One box, as shares of the frame."""

    bounding_box: list[Any] = Field(min_length=4, max_length=4)


def _track(detection: dict[str, Any]) -> str | None:
    """The name of the object: `index`, or the identifier of an `instance`."""
    instance = detection.get("instance")
    return name_of(detection.get("index")) or (_id(instance.get("_id")) if isinstance(instance, dict) else None)


def _inline_frames(value: Any) -> Iterator[tuple[float | None, dict[str, Any]]]:
    for number, fields in value.items() if isinstance(value, dict) else ():
        if isinstance(fields, dict):
            yield finite(number), fields


def _size(metadata: Any, media: Path) -> Size | None:
    given = metadata if isinstance(metadata, dict) else {}
    for keys in (("frame_width", "frame_height"), ("width", "height")):
        width, height = (finite(given.get(key)) for key in keys)
        if width and height and 0 < width < 1e5 and 0 < height < 1e5:
            return width, height
    try:
        if media.suffix.lower() in VIDEO_SUFFIXES:
            info = probe(media)
            return info.width, info.height
        return image_size(media)
    except InputError:
        return None


def _id(value: Any) -> str:
    """An identifier, written as text or as MongoDB does."""
    return name_of(value.get("$oid") if isinstance(value, dict) else value) or ""


def _claims(path: Path, head: str) -> bool:
    return path.suffix.lower() == ".json" and (BEGINS.match(head) is not None or path.with_name(SAMPLES).is_file())


FORMAT = BoxFormat(claims=_claims, read=read_fiftyone, beside=(FRAMES, "metadata.json"))
