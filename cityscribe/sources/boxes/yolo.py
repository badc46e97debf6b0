"""YOLO text: a file a frame, a line a box, `class centre-x centre-y width height [confidence] [track]` as shares of it.

    labels/CLIP_12.txt, images/CLIP_12.jpg     the frame beside its boxes says their size, or else the video does
    obj.names, classes.txt, data.yaml          the classes, in the folder or above it; without them those of COCO
    obj.data, train.txt                        written by CVAT, which counts frames from 0

Ultralytics counts the frames of a video from 1 in these names. A line of more numbers is a polygon, of which the box
around it is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import model_validator

from cityscribe.entries import EntryModel, checked
from cityscribe.files import InputError, printable
from cityscribe.media.images import image_size
from cityscribe.media.kinds import IMAGE_SUFFIXES
from cityscribe.sources.boxes import BoxFormat
from cityscribe.sources.boxes.track import BoxesByTrack, Tracks, Videos, box_of, frame_of_image, grouped, video_of_file
from cityscribe.sources.intake import UNREADABLE, Intake
from cityscribe.values import finite, plain_text

COCO_CLASSES = {0: "person", 1: "bicycle", 2: "car", 3: "motorcycle", 5: "bus", 7: "truck"}
LISTS = ("classes.txt", "obj.names")
TABLES = ("data.yaml", "data.yml", "dataset.yaml")
BESIDE = (*LISTS, *TABLES, "obj.data", "train.txt", "val.txt", "valid.txt", "test.txt")
OF_CVAT = ("obj.names", "obj.data")


class _Row(EntryModel):
    """A line of a file: a box, or the one around a polygon, as shares of the frame."""

    kind: float  # number of the class
    left: float
    top: float
    width: float
    height: float
    track: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_words(cls, line: str) -> dict[str, float | None]:
        given = [finite(word) for word in line.split()]
        numbers = [number for number in given if number is not None]
        polygon = len(numbers) > 7 and len(numbers) % 2 == 1
        if len(numbers) != len(given) or not (5 <= len(numbers) <= 7 or polygon):
            raise ValueError("no box")
        kind = numbers[0]
        if polygon:
            xs, ys = numbers[1::2], numbers[2::2]
            left, top, width, height = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
        else:
            x, y, width, height = numbers[1:5]
            left, top = x - width / 2, y - height / 2
        # The last of six values is a confidence where it is a share, else a track.
        has_track = len(numbers) == 7 or (len(numbers) == 6 and numbers[5] >= 1)
        track = numbers[-1] if has_track else None
        return {"kind": kind, "left": left, "top": top, "width": width, "height": height, "track": track}


def read_yolo(intake: Intake, files: Sequence[Path], videos: Videos) -> Tracks:
    """The tracks of the label files by video; a file whose frame has no known size is left out with an error."""
    placed: list[tuple[Path, str, int]] = []
    for path in files:
        name, frame = frame_of_image(printable(path.name))
        if frame is None:
            intake.add("error", path, "", "its name does not end with the number of a frame")
        else:
            placed.append((path, videos.named(name or video_of_file(intake, path.with_name("labels"))), frame))
    counted_from_0 = {video for _, video, frame in placed if frame == 0}  # a count from 1 has no frame 0
    found: BoxesByTrack = {}
    rules: Counter[tuple[str, int]] = Counter()
    read: dict[Path, tuple[dict[int, str], str, bool]] = {}
    for path, video, frame in placed:
        if path.parent not in read:
            read[path.parent] = _classes(intake, path.parent)
        classes, names, by_cvat = read[path.parent]
        size = _size(path) or _size_of_video(videos, video)
        if size is None:
            why = "has no image beside it (images/ for labels/) and no video of its name, which say how large a box is"
            intake.add("error", path, "", why)
            continue
        first = 0 if by_cvat or video in counted_from_0 else 1
        rules[names, first] += 1
        _boxes(intake, path, (video, frame - first, size), classes, found)
    for (names, first), count in rules.items():
        what = f"{count} files read as YOLO: classes {names}, frames counted from {first}"
        intake.add("note", intake.root, "", what)
    return grouped(found)


def _boxes(
    intake: Intake, path: Path, where: tuple[str, int, tuple[int, int]], classes: dict[int, str], found: BoxesByTrack
) -> None:
    """Take the boxes of one file. `where`: video, frame counted from 0, width and height in pixels."""
    video, frame, (wide, high) = where
    note = intake.note(path)
    for number, line in enumerate((intake.text(path) or "").split("\n"), start=1):
        if not line.strip():
            continue
        row = checked(_Row, line, note, f"line {number}", whole="class, centre, width, height; left out")
        if row is None:
            continue
        xywh = (row.left * wide, row.top * high, row.width * wide, row.height * high)
        box = box_of(note, f"line {number}", frame, xywh)
        if box is not None:
            label = classes.get(int(row.kind), f"class {row.kind:g}") if abs(row.kind) < 1e6 else ""
            found.setdefault((video, label, label if row.track is None else f"{row.track:g}"), []).append(box)


def _classes(intake: Intake, folder: Path) -> tuple[dict[int, str], str, bool]:
    """The classes of a folder of labels, where they are from, and whether CVAT wrote them."""
    for above in _up(folder, intake.root):
        by_cvat = any((above / name).is_file() for name in OF_CVAT)
        for name in LISTS:
            if (above / name).is_file():
                lines = (intake.text(above / name) or "").split("\n")
                return {number: line.strip() for number, line in enumerate(lines)}, f"from {name}", by_cvat
        for name in TABLES:
            path = above / name
            table = intake.yaml(path) if path.is_file() else None
            names = table.get("names") if isinstance(table, dict) and table is not UNREADABLE else None
            listed = dict(enumerate(names)) if isinstance(names, list) else names if isinstance(names, dict) else None
            if listed is not None:
                classes = {key: plain_text(text) or "" for key, text in listed.items() if isinstance(key, int)}
                # CVAT lists the images of a split in a file, Ultralytics names a folder.
                lists = isinstance(table, dict) and any(str(table.get(s)).endswith(".txt") for s in ("train", "val"))
                return classes, f"from {name}", lists
    return COCO_CLASSES, "those of COCO", False


def _up(folder: Path, root: Path) -> Iterator[Path]:
    """A folder and those above it, up to the one above the root."""
    while True:
        yield folder
        if folder == root.parent or folder == folder.parent:
            return
        folder = folder.parent


def _size(path: Path) -> tuple[int, int] | None:
    """Width and height of the image that a label file is about."""
    parts = path.parent.parts
    folders = [path.parent]
    if "labels" in parts:
        place = len(parts) - 1 - parts[::-1].index("labels")
        folders.append(Path(*parts[:place], "images", *parts[place + 1 :]))
    for folder in folders:
        for suffix in IMAGE_SUFFIXES:
            image = folder / (path.stem + suffix)
            if image.is_file():
                try:
                    return image_size(image)
                except InputError:
                    return None
    return None


def _size_of_video(videos: Videos, video: str) -> tuple[int, int] | None:
    info = videos.info(video)
    return None if info is None else (info.width, info.height)


def _claims(path: Path, head: str) -> bool:
    """Text with spaces; an empty file is a frame without boxes where other files lie beside it."""
    if path.suffix.lower() != ".txt" or path.name in BESIDE:
        return False
    return bool(head) or any(other != path for other in path.parent.iterdir())


FORMAT = BoxFormat(claims=_claims, read=read_yolo, beside=BESIDE)
