"""Boxes that annotation tools and trackers wrote, by video, and how they join the views of scenarios.

    found, problems = read_tracks(Path("boxes/"))   # CVAT XML, COCO, FiftyOne or Label Studio JSON, MOT or YOLO text
    scenarios = with_tracks(scenarios, found)

A track is one object through a video; a format without tracks gives each class of a video as one. Its boxes have no
phase: `prepare` finds the phases by time, as it does for the generated boxes of WTS.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cityscribe.files import InputError
from cityscribe.media.video import VideoError, frame_index, probe
from cityscribe.records import Note, Problem
from cityscribe.sources.intake import MAX_PIXELS, Intake
from cityscribe.traffic.scenario import ROLES, Box, Scenario, View
from cityscribe.values import shown

MAX_FRAME = 10_000_000

FIFTYONE = re.compile(r'[\s\ufeff]*\{\s*"(?:samples|classes|labels)"')
"""How the JSON files of a FiftyOne export begin."""

ROLE_OF_LABEL = {
    **dict.fromkeys(("pedestrian", "ped", "person", "people", "human", "walker", "child", "adult"), "pedestrian"),
    **dict.fromkeys(
        ("vehicle", "car", "truck", "bus", "van", "taxi", "motorcycle", "motorbike", "lorry", "trailer"), "vehicle"
    ),
}
"""What labels call the road users."""


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


def read_tracks(path: Path) -> tuple[Tracks, list[Problem]]:
    """The tracks of a file, or of all files of a folder, in any of the formats, and everything that is wrong with them.

    The format of a file is told by its suffix and first words. Raises InputError where there is no such path, or no
    file of these formats.
    """
    from cityscribe.sources.boxes_coco import read_coco
    from cityscribe.sources.boxes_cvat import read_cvat
    from cityscribe.sources.boxes_fiftyone import read_fiftyone
    from cityscribe.sources.boxes_label_studio import read_label_studio
    from cityscribe.sources.boxes_mot import read_mot
    from cityscribe.sources.boxes_yolo import read_yolo

    if not os.path.exists(path):
        raise InputError(f"{path}: no such file or folder")
    intake = Intake(path if path.is_dir() else path.parent)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    tracks: Tracks = {}
    yolo: list[Path] = []
    read = 0
    for file in files:
        head = _head(file)
        suffix = file.suffix.lower()
        one: Callable[[Intake, Path], Tracks]
        if suffix == ".xml":
            one = read_cvat
        elif suffix == ".json" and FIFTYONE.match(head):
            one = read_fiftyone
        elif suffix == ".json" and file.name != "samples.json" and file.with_name("samples.json").is_file():
            continue  # frames.json and metadata.json belong to it
        elif suffix == ".json":
            one = read_label_studio if head.lstrip("\ufeff \t\r\n").startswith("[") else read_coco
        elif suffix == ".txt" and "," in head.partition("\n")[0]:
            one = read_mot
        elif suffix == ".txt" and file.name != "classes.txt" and (head or len(files) > 1):
            yolo.append(file)
            continue
        else:
            continue
        read += 1
        for video, found in one(intake, file).items():
            tracks.setdefault(video, []).extend(found)
    for video, found in read_yolo(intake, yolo).items():
        tracks.setdefault(video, []).extend(found)
    if not read and not yolo:
        kinds = "CVAT XML, COCO, FiftyOne or Label Studio JSON, MOT or YOLO text"
        raise InputError(f"{path}: has no boxes; expected {kinds}")
    return tracks, intake.problems


def with_tracks(scenarios: Sequence[Scenario], tracks: Mapping[str, Sequence[Track]]) -> list[Scenario]:
    """Scenarios whose views have the tracks of their video as generated boxes, in place of those that they had.

    A scenario is about one pedestrian and one vehicle: of several tracks the one with the largest boxes in sum counts,
    the first of equals. The videos of the views that have tracks are opened: at 60 frames a second an `image_id` of WTS
    counts twice (`video.frame_index`), a frame of a tracker once.
    """
    joined = []
    for scenario in scenarios:
        views = []
        for view in scenario.views:
            boxes = {role: tuple(box for box in found if not box.generated) for role, found in view.boxes.items()}
            ids_a_frame = _ids_a_frame(view) if view.name in tracks else 1
            for role in ROLES:
                of_role = [track for track in tracks.get(view.name, ()) if track.role == role]
                if of_role:
                    chosen = max(of_role, key=lambda track: sum(box.area for box in track.boxes))
                    own = [
                        *boxes.get(role, ()),
                        *(replace(b, image_id=ids_a_frame * b.image_id, generated=True) for b in chosen.boxes),
                    ]
                    boxes[role] = tuple(sorted(own, key=lambda box: box.image_id))
                elif view.name not in tracks:
                    boxes[role] = view.boxes.get(role, ())
            views.append(replace(view, boxes={role: found for role, found in boxes.items() if found}))
        joined.append(replace(scenario, views=tuple(views)))
    return joined


def _ids_a_frame(view: View) -> int:
    try:
        fps = probe(view.video).fps
    except VideoError:
        return 1  # the video will be left out, with its reason
    return 2 if frame_index(1, fps) == 0 else 1


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


MAX_GAP = 100_000
"""Frames between two keyframes that are filled in; a longer gap is a slip of the pen."""


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


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(4096).decode("utf-8", "replace")
    except OSError:
        return ""
