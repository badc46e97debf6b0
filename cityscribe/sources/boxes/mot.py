"""MOT text: a line a box, `frame,track,left,top,width,height,confidence,class,visibility`; frames count from 1.

SEQUENCE/gt/gt.txt, SEQUENCE/det/det.txt     the video is the folder of the sequence, or else the name of the file
SEQUENCE/gt/labels.txt                       of CVAT: a line a class, counted from 1; without it the classes are
                                             those of MOT16 to MOT20
SEQUENCE/seqinfo.ini                         of the challenge: `name` is the video
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import model_validator

from cityscribe.entries import EntryModel, Loose, Number, checked
from cityscribe.files import printable
from cityscribe.sources.boxes import BoxFormat
from cityscribe.sources.boxes.track import BoxesByTrack, Tracks, Videos, box_of, grouped, video_of_file
from cityscribe.sources.intake import Intake

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
"""Of those, classes that are no road user of their own."""

COLUMNS = "frame,track,left,top,width,height; left out"

LABELS, SEQUENCE = "labels.txt", "seqinfo.ini"


class _Row(EntryModel):
    """A line of the file."""

    frame: Number
    track: Number
    left: Number
    top: Number
    width: Number
    height: Number
    confidence: Loose = None
    kind: Loose = None
    visibility: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_cells(cls, line: str) -> dict[str, str]:
        return dict(zip(cls.model_fields, map(str.strip, line.split(",")), strict=False))

    @property
    def number_of_class(self) -> int:
        """0 for none. The challenge's detections have coordinates in the place of the class, and no visibility."""
        return int(self.kind) if self.visibility is not None and self.kind is not None and self.kind > 0 else 0


def read_mot(intake: Intake, files: Sequence[Path], videos: Videos) -> Tracks:
    """The tracks of the files. Lines of ground truth whose confidence is 0 are marked as not to be counted: left
    out."""
    found: BoxesByTrack = {}
    for path in files:
        _read(intake, path, videos, found)
    return grouped(found)


def _read(intake: Intake, path: Path, videos: Videos, found: BoxesByTrack) -> None:
    note = intake.note(path)
    listed = _labels(intake, path)
    video = videos.named(_video(intake, path))
    rows: list[tuple[str, _Row]] = []
    for number, line in enumerate((intake.text(path) or "").split("\n"), start=1):
        if line.strip():
            row = checked(_Row, printable(line), note, f"line {number}", whole=COLUMNS)
            rows += [] if row is None else [(f"line {number}", row)]
    first = 0 if any(row.frame == 0 for _, row in rows) else 1  # a count from 1 has no frame 0
    for place, row in rows:
        if path.stem == "gt" and row.confidence == 0:
            continue
        kind = row.number_of_class
        if listed is None and (kind or 1) in IGNORED:
            continue
        label = CLASSES.get(kind or 1, "") if listed is None else listed.get(kind)
        if label is None:
            note("warning", place, f"is of class {kind}, which {LABELS} does not name; left out")
            continue
        box = box_of(note, place, row.frame - first, (row.left, row.top, row.width, row.height))
        if box is not None:
            name = f"{row.track:g}" if row.track >= 0 else label  # -1: a detection that no track was made of
            found.setdefault((video, label, name), []).append(box)
    names = "those of MOT16 to MOT20" if listed is None else f"from {LABELS}, counted from 1"
    note("note", "", f"read as MOT: classes {names}, frames counted from {first}")


def _labels(intake: Intake, path: Path) -> dict[int, str] | None:
    """The classes by number that stand beside a file; None where it is one of the challenge."""
    beside = path.with_name(LABELS)
    if not beside.is_file():
        return None
    lines = (intake.text(beside) or "").split("\n")
    return {number: line.strip() for number, line in enumerate(lines, start=1) if line.strip()}


def _video(intake: Intake, path: Path) -> str:
    if path.parent.name not in ("gt", "det") or path.stem != path.parent.name:
        return printable(path.stem)
    info = path.parent.with_name(SEQUENCE)
    named = re.search(r"^\s*name\s*=\s*(\S.*?)\s*$", (intake.text(info) or "")[:4096], re.M) if info.is_file() else None
    return named[1] if named else printable(video_of_file(intake, path))


def _claims(path: Path, head: str) -> bool:
    return path.suffix.lower() == ".txt" and path.name != LABELS and "," in head.partition("\n")[0]


FORMAT = BoxFormat(claims=_claims, read=read_mot, beside=(LABELS, SEQUENCE))
