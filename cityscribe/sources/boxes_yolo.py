"""YOLO text: a file a frame, a line a box, `class centre-x centre-y width height [confidence] [track]` as shares of it.

    labels/CLIP_12.txt, images/CLIP_12.jpg     the frame beside its boxes says their size
    classes.txt or data.yaml (`names`)         the classes; without them they are those of COCO

Ultralytics counts the frames of a video from 1 in these names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cityscribe.files import InputError, printable
from cityscribe.media.images import image_size
from cityscribe.media.kinds import IMAGE_SUFFIXES
from cityscribe.sources.boxes_coco import grouped
from cityscribe.sources.boxes_cvat import frame_of_image
from cityscribe.sources.intake import UNREADABLE, Intake
from cityscribe.sources.tracks import Tracks, box_of
from cityscribe.traffic.scenario import Box
from cityscribe.values import finite, plain_text, shown

COCO_CLASSES = {0: "person", 1: "bicycle", 2: "car", 3: "motorcycle", 5: "bus", 7: "truck"}


def read_yolo(intake: Intake, files: Sequence[Path]) -> Tracks:
    """The tracks of the label files by video; a file whose image is missing is left out with an error."""
    classes = _classes(intake)
    found: dict[tuple[str, str, str], list[Box]] = {}
    for path in files:
        video, frame = frame_of_image(printable(path.name))
        size = _size(path)
        if frame is None:
            intake.add("error", path, "", "its name does not end with the number of a frame")
            continue
        if size is None:
            intake.add("error", path, "", "has no image beside it (images/ for labels/), which says how large a box is")
            continue
        note = intake.note(path)
        for number, line in enumerate((intake.text(path) or "").split("\n"), start=1):
            values = [finite(word) for word in line.split()]
            if not values:
                continue
            numbers = [value for value in values if value is not None]
            if len(numbers) != len(values) or not 5 <= len(values) <= 7:
                note("warning", f"line {number}", f"is {shown(line)}, expected class, centre, width, height; left out")
                continue
            kind, x, y, width, height = numbers[:5]
            xywh = ((x - width / 2) * size[0], (y - height / 2) * size[1], width * size[0], height * size[1])
            box = box_of(note, f"line {number}", max(frame - 1, 0), xywh)
            if box is not None:
                label = classes.get(int(kind), "") if abs(kind) < 1e6 else ""
                # The last of six values is a confidence where it is a share, else a track.
                last = numbers[-1] if len(numbers) == 7 or (len(numbers) == 6 and numbers[5] >= 1) else None
                found.setdefault((video, label, label if last is None else f"{last:g}"), []).append(box)
    return grouped(found)


def _classes(intake: Intake) -> dict[int, str]:
    for path in (intake.root / "classes.txt", intake.root.parent / "classes.txt"):
        if path.is_file():
            return dict(enumerate(line.strip() for line in (intake.text(path) or "").split("\n")))
    path = intake.root / "data.yaml"
    names = intake.yaml(path) if path.is_file() else None
    names = names.get("names") if isinstance(names, dict) and names is not UNREADABLE else None
    if isinstance(names, list):
        return {number: plain_text(name) or "" for number, name in enumerate(names)}
    if isinstance(names, dict):
        return {key: plain_text(name) or "" for key, name in names.items() if isinstance(key, int)}
    return COCO_CLASSES


def _size(path: Path) -> tuple[int, int] | None:
    """Width and height of the image that a label file is about."""
    folders = [path.parent]
    if path.parent.name == "labels":
        folders.append(path.parent.with_name("images"))
    elif path.parent.parent.name == "labels":
        folders.append(path.parent.parent.with_name("images") / path.parent.name)
    for folder in folders:
        for suffix in IMAGE_SUFFIXES:
            image = folder / (path.stem + suffix)
            if image.is_file():
                try:
                    return image_size(image)
                except InputError:
                    return None
    return None
