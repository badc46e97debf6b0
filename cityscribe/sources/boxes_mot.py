"""MOT text: a line a box, `frame,track,left,top,width,height,confidence,class,visibility`; frames count from 1.

The video is the folder of the sequence (`SEQUENCE/gt/gt.txt`, `SEQUENCE/det/det.txt`) or else the name of the file.
"""

from __future__ import annotations

from pathlib import Path

from cityscribe.files import printable
from cityscribe.sources.boxes_coco import grouped
from cityscribe.sources.intake import Intake
from cityscribe.sources.tracks import Tracks, box_of
from cityscribe.traffic.scenario import Box
from cityscribe.values import finite, shown

CLASSES = {
    1: "pedestrian",
    2: "person on vehicle",
    3: "car",
    4: "bicycle",
    5: "motorbike",
    6: "non motorized vehicle",
    7: "static person",
    8: "distractor",
    9: "occluder",
    10: "occluder on the ground",
    11: "occluder full",
    12: "reflection",
}
"""The classes of MOT16 to MOT20; a file without classes is about pedestrians."""

IGNORED = (2, 6, 8, 9, 10, 11, 12)
"""Classes that are no road user of their own."""


def read_mot(intake: Intake, path: Path) -> Tracks:
    """The tracks of one file. Lines of ground truth whose confidence is 0 are marked as not to be counted: left out."""
    note = intake.note(path)
    found: dict[tuple[str, str, str], list[Box]] = {}
    inner = path.parent.name in ("gt", "det") and path.stem == path.parent.name
    video = printable(path.parent.parent.name if inner else path.stem)
    for number, line in enumerate((intake.text(path) or "").split("\n"), start=1):
        if not line.strip():
            continue
        values = [finite(cell.strip()) for cell in line.split(",")]
        place = f"line {number}"
        if len(values) < 6 or values[1] is None:
            note("warning", place, f"is {shown(printable(line))}, expected frame,track,left,top,width,height; left out")
            continue
        kind = values[7] if len(values) > 8 and values[7] is not None and values[7] > 0 else 1
        if kind in IGNORED or (path.stem == "gt" and len(values) > 6 and values[6] == 0):
            continue
        box = box_of(note, place, None if values[0] is None else values[0] - 1, values[2:6])
        if box is not None:
            label = CLASSES.get(int(kind), "")
            name = f"{values[1]:g}" if values[1] >= 0 else label  # -1: a detection that no track was made of
            found.setdefault((video, label, name), []).append(box)
    return grouped(found)
