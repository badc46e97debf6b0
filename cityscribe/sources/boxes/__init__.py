"""The formats of boxes that annotation tools and trackers write, one module each.

A format says of a file, by its name and first words, whether it is one of its own, and reads all of those together. It
gives tracks by video and the rules by which it read them, such as "names from obj.names, frames counted from 0": what
lies beside the boxes decides what they mean, and the user is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cityscribe.files import InputError
from cityscribe.registry import Registry

if TYPE_CHECKING:
    from cityscribe.sources.boxes.track import Tracks, Videos
    from cityscribe.sources.intake import Intake


@dataclass(frozen=True, slots=True)
class BoxFormat:
    """One format. `claims` takes a file and its first 4096 bytes as text; `read` the files that it claimed."""

    claims: Callable[[Path, str], bool]
    read: Callable[[Intake, Sequence[Path], Videos], Tracks]  # rules and problems are noted in the intake
    beside: tuple[str, ...] = ()  # names of files that are read with the others


def _is_format(name: str, member: object) -> None:
    if not isinstance(member, BoxFormat):
        raise InputError(f"boxes {name}: is no BoxFormat")


BOXES: Registry[BoxFormat] = Registry("boxes", "boxes of annotation tools and trackers", check=_is_format)
"""The first format that claims a file reads it."""

BOXES.add("cvat", "cityscribe.sources.boxes.cvat:FORMAT", "CVAT XML")
BOXES.add("fiftyone", "cityscribe.sources.boxes.fiftyone:FORMAT", "FiftyOne JSON")
BOXES.add("label-studio", "cityscribe.sources.boxes.label_studio:FORMAT", "Label Studio JSON")
BOXES.add("coco", "cityscribe.sources.boxes.coco:FORMAT", "COCO JSON")
BOXES.add("mot", "cityscribe.sources.boxes.mot:FORMAT", "MOT text")
BOXES.add("yolo", "cityscribe.sources.boxes.yolo:FORMAT", "YOLO text")
