"""Where the pedestrians of WTS look: head positions and gaze directions by frame (2025, overhead cameras).

    annotations/3D_gaze/SPLIT/SCENARIO/SCENARIO_192.168.0.11-1_gaze.json   {"annotations": [{"image_id", "gaze"}]}
    annotations/head/SPLIT/SCENARIO/SCENARIO_192.168.0.11_1_head.json      {"annotations": [{"image_id", "head"}]}

A gaze is x, y, z in the axes of its camera, as OpenGL has them (right, up, backward); a head is x, y in pixels. The
number of a camera stands behind `-` in some names and behind `_` in others, also in those of the videos.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from cityscribe.entries import EntryModel, Pixels, checked
from cityscribe.files import InputError, read_json
from cityscribe.records import Note
from cityscribe.sources.videos import files_below
from cityscribe.sources.wts_boxes import ImageId
from cityscribe.traffic.scenario import Gaze
from cityscribe.values import shown

TREES = {"gaze": "3D_gaze", "head": "head"}
"""What is annotated -> its folder."""

GazeFiles = dict[str, dict[str, Path]]
"""The files of a video, by its name with every `-` as `_`: "gaze" and "head"."""


def find_gaze(parts: Iterable[Path]) -> GazeFiles:
    """The files of all videos in parts of a data set."""
    found: GazeFiles = {}
    for part in parts:
        for kind, folder in TREES.items():
            below = part / "annotations" / folder
            suffix = f"_{kind}.json"
            for name in files_below(below, (suffix,)) if below.is_dir() else ():
                video = name.rpartition("/")[2][: -len(suffix)]
                found.setdefault(_plain(video), {}).setdefault(kind, below / name)
    return found


class _Head(EntryModel):
    """Where a head is, on one frame."""

    image_id: ImageId
    head: tuple[Pixels, Pixels]


class _Direction(EntryModel):
    """Where a face looks, on one frame."""

    image_id: ImageId
    gaze: tuple[Pixels, Pixels, Pixels]


MODELS: dict[str, type[_Head] | type[_Direction]] = {"head": _Head, "gaze": _Direction}


def read_gaze(video: str, files: GazeFiles, note_of: Callable[[Path], Note]) -> tuple[Gaze, ...]:
    """The gazes of a video, by the stem of its file, on frames that have both a head and a direction."""
    own = files.get(_plain(video), {})
    read = {kind: _read(own[kind], kind, note_of(own[kind])) for kind in TREES if kind in own}
    if len(read) < len(TREES):
        for kind, path in own.items():
            other = "head" if kind == "gaze" else "gaze"
            note_of(path)("warning", "", f"{video} has no {other} annotations; left out")
        return ()
    heads, directions = read["head"], read["gaze"]
    both = sorted(heads.keys() & directions.keys())
    return tuple(Gaze(n, (heads[n][0], heads[n][1]), (d[0], d[1], d[2])) for n in both for d in (directions[n],))


def _plain(video: str) -> str:
    return re.sub(r"-(?=\d+$)", "_", video)


def _read(path: Path, kind: str, note: Note) -> dict[int, tuple[float, ...]]:
    """Image id -> numbers; what cannot be used is left out with a warning."""
    try:
        value = read_json(path)
    except InputError as error:
        note("error", "", str(error).removeprefix(f"{path}: "))
        return {}
    entries = value.get("annotations") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        note("error", "annotations", f"is {shown(entries)}, expected a list")
        return {}
    found: dict[int, tuple[float, ...]] = {}
    for number, entry in enumerate(entries):
        place = f"annotations[{number}]"
        read = checked(MODELS[kind], entry, note, place, whole=f"image_id and {kind}; left out")
        if read is None:
            continue
        numbers = read.gaze if isinstance(read, _Direction) else read.head
        if kind == "gaze" and not math.hypot(*numbers):
            note("warning", f"{place}.gaze", "points nowhere; left out")
        else:
            found[read.image_id] = numbers
    return found
