"""Tracks: one object through a video, and what every format of boxes needs to make them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from cityscribe.media.video import VideoError, VideoInfo, probe
from cityscribe.records import Note
from cityscribe.sources.intake import Intake
from cityscribe.traffic.scenario import Box
from cityscribe.values import MAX_PIXELS, plain_text, shown

MAX_FRAME = 10_000_000

MAX_GAP = 100_000
"""Frames between two keyframes that are filled in; a longer gap is a slip of the pen."""

BETWEEN = "-_. "
"""What stands between the name of a video and the number of a frame."""

ROLE_OF_LABEL = {
    **dict.fromkeys(("pedestrian", "ped", "person", "people", "human", "walker", "child", "adult"), "pedestrian"),
    **dict.fromkeys(
        ("vehicle", "car", "truck", "bus", "van", "taxi", "motorcycle", "motorbike", "lorry", "trailer"), "vehicle"
    ),
}
"""What labels call the road users."""

NAMES_OF_TOOLS = frozenset(
    {
        *("annotations", "annotation", "instances_default", "instances_train", "instances_val", "export", "result"),
        *("results", "data", "default", "gt", "det", "labels", "images", "img1", "train", "val", "valid", "test"),
        *("obj_train_data", "obj_valid_data", "obj_test_data"),
    }
)
"""Names of files and folders that tools give to any export: they name no video."""

UPLOAD = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded file."""


@dataclass(frozen=True, slots=True)
class Track:
    """One object through a video. Boxes are `xywh` in pixels, in order of `image_id`, which counts frames from 0."""

    name: str  # of the object in its file
    label: str
    boxes: tuple[Box, ...]
    attributes: tuple[tuple[int, str, str], ...] = ()  # frame, name, value

    @property
    def role(self) -> str:
        """The road user that the label means; empty where it means none."""
        words = self.label.casefold().replace("_", " ").replace("-", " ").split()
        return next((ROLE_OF_LABEL[word] for word in words if word in ROLE_OF_LABEL), "")


Tracks = dict[str, list[Track]]
"""The tracks of each video, by the stem of its file."""

BoxesByTrack = dict[tuple[str, str, str], list[Box]]
"""Boxes by video, label and name of the track."""


class Videos:
    """The videos that boxes may belong to, by stem: they tell the size and the rate where a file of boxes does not."""

    def __init__(self, paths: Mapping[str, Path] | None = None) -> None:
        self.paths = dict(paths or {})

    def named(self, name: str) -> str:
        """The stem of the video that a name means: that name, or the one that was uploaded under it."""
        without = UPLOAD.sub("", name)
        return without if name not in self.paths and without in self.paths else name

    def info(self, name: str) -> VideoInfo | None:
        """What is known of a video; None for one that is not here or cannot be read, which is said elsewhere."""
        return _info(self.paths[name]) if name in self.paths else None


@lru_cache(maxsize=1024)
def _info(path: Path) -> VideoInfo | None:
    try:
        return probe(path)
    except VideoError:
        return None


def box_of(note: Note, place: str, frame: float | None, xywh: Sequence[float | None]) -> Box | None:
    """A box from numbers of a file; None, with a warning noted, where they are none, or no box."""
    if frame is None or frame % 1 or not 0 <= frame <= MAX_FRAME:
        note("warning", place, f"is in frame {shown(frame)}, expected its number; left out")
        return None
    numbers = [number for number in xywh if number is not None and abs(number) <= MAX_PIXELS]
    if len(numbers) != 4:
        note("warning", place, "expected four numbers of a box in pixels; left out")
        return None
    x, y, width, height = numbers
    if width <= 0 or height <= 0:
        note("warning", place, f"is {width:g} by {height:g} pixels; left out")
        return None
    return Box(int(frame), (x, y, width, height), generated=True)


def turned(box: Box, degrees: float | None, *, about_corner: bool = False) -> Box:
    """The upright box around one that is turned clockwise about its centre, or about its top left corner."""
    if not degrees or (degrees % 180 == 0 and not about_corner):
        return box
    x, y, width, height = box.xywh
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    centre_x, centre_y = (x, y) if about_corner else (x + width / 2, y + height / 2)
    corners = [(px - centre_x, py - centre_y) for px in (x, x + width) for py in (y, y + height)]
    xs = [centre_x + px * cos - py * sin for px, py in corners]
    ys = [centre_y + px * sin + py * cos for px, py in corners]
    return replace(box, xywh=(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)))


def interpolated(keys: Sequence[tuple[Box, bool]]) -> tuple[Box, ...]:
    """The boxes of all frames from keyframes in order of frames, each with whether the object is visible from it on.

    Between two keyframes a box moves linearly, as CVAT and Label Studio draw it; from a keyframe at which the object
    leaves the picture to the next there is none.
    """
    boxes: list[Box] = []
    for number, (box, visible) in enumerate(keys):
        if not visible:
            continue
        boxes.append(box)
        following = keys[number + 1][0] if number + 1 < len(keys) else box
        gap = following.image_id - box.image_id
        if not 1 < gap <= MAX_GAP:
            continue
        for step in range(1, gap):
            x, y, w, h = (a + (b - a) * step / gap for a, b in zip(box.xywh, following.xywh, strict=True))
            boxes.append(replace(box, image_id=box.image_id + step, xywh=(x, y, w, h)))
    return tuple(boxes)


def grouped(found: BoxesByTrack) -> Tracks:
    """Tracks by video from boxes by video, label and name, each in order of frames."""
    tracks: Tracks = {}
    for (video, label, name), boxes in found.items():
        ordered = tuple(sorted(boxes, key=lambda box: box.image_id))
        tracks.setdefault(video, []).append(Track(name, label, ordered))
    return tracks


def merge(into: Tracks, more: Tracks) -> None:
    for video, found in more.items():
        into.setdefault(video, []).extend(found)


def frame_of_image(name: str) -> tuple[str, int | None]:
    """The video and frame that the name of an image tells, such as `clip/000012.jpg` or `clip_frame_12.png`."""
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", name.replace("\\", "/"))
    folder, _, last = stem.rpartition("/")
    found = re.search(r"(\d{1,9})$", last, re.ASCII)
    if found is None:
        return (plain_text(last) or "", None)
    before = last[: found.start()].rstrip(BETWEEN)
    word = next((word for word in ("frame", "img", "image") if before.lower().endswith(word)), "")
    before = before[: len(before) - len(word)].rstrip(BETWEEN)
    above = next((part for part in reversed(folder.split("/")) if part.lower() not in NAMES_OF_TOOLS), "")
    return (plain_text(before or above) or "", int(found[1]))


def video_of_file(intake: Intake, path: Path) -> str:
    """The video that a file of boxes is about where it names none: its own name, or that of the nearest folder, up to
    the one that was given, that no tool gives to any export."""
    if path.stem.lower() not in NAMES_OF_TOOLS:
        return plain_text(path.stem) or ""
    folder = path.parent.absolute()
    while folder != intake.root.absolute() and folder.name.lower() in NAMES_OF_TOOLS:
        folder = folder.parent
    return plain_text(folder.name) or ""


def first_text(names: Iterable[object]) -> str:
    """The first text of some values."""
    return next((text for name in names if (text := plain_text(name))), "")
