"""Boxes that annotation tools and trackers wrote, by video, and how they join the views of scenarios.

    read = read_tracks(Path("boxes/"), videos)      # any of the formats of `sources.boxes`
    joined = join_tracks(scenarios, read.tracks, "boxes")

A track is one object through a video; a format without tracks gives each class of a video as one. Its boxes have no
phase: `prepare` finds the phases by time, as it does for the generated boxes of WTS. What is given and joins no view is
said, with counts.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from cityscribe.files import InputError, printable
from cityscribe.media.video import VideoError, VideoInfo, frame_index, probe
from cityscribe.records import Problem
from cityscribe.sources.boxes import BOXES
from cityscribe.sources.boxes.track import Track, Tracks, Videos, merge
from cityscribe.sources.intake import Intake
from cityscribe.traffic.scenario import ROLES, Box, Scenario, View

DATA = (".json", ".xml", ".txt", ".csv", ".jsonl", ".yaml", ".yml")
"""Suffixes of files that may hold boxes; others, such as images, stand beside them."""

NAMED = 5
"""Names that one message lists."""


class ReadTracks(NamedTuple):
    """What was read of boxes: the tracks by video; problems, and notes that say by which rules."""

    tracks: Tracks
    problems: list[Problem]


class Joined(NamedTuple):
    """Scenarios with tracks, how many boxes of the tracks they have, and what was not used."""

    scenarios: list[Scenario]
    used: int
    problems: list[Problem]


def read_tracks(path: Path, videos: Mapping[str, Path] | None = None) -> ReadTracks:
    """The tracks of a file, or of all files of a folder, in any of the formats, and everything that is wrong with them.

    `videos` are those that the boxes may be of, by stem: some formats ask them for size and rate. The first format that
    claims a file reads it. Raises InputError where there is no such path, or no file of these formats.
    """
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file or folder")
    intake = Intake(path if path.is_dir() else path.parent)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    beside = {name for kind in BOXES for name in BOXES[kind].beside}
    claimed: dict[str, list[Path]] = {}
    unclaimed: list[Path] = []
    for file in files:
        if file.name in beside and len(files) > 1:
            continue  # read with the boxes that it lies beside
        head = _head(file)
        name = next((name for name in BOXES if BOXES[name].claims(file, head)), None)
        if name is not None:
            claimed.setdefault(name, []).append(file)
        elif file.suffix.lower() in DATA:
            unclaimed.append(file)
    if not claimed:
        summaries = ", ".join(entry.summary for entry in BOXES.entries())
        raise InputError(f"{path}: has no boxes; expected {summaries}")
    known = Videos(videos)
    tracks: Tracks = {}
    for name, group in claimed.items():
        merge(tracks, BOXES[name].read(intake, group, known))
    for file in unclaimed:
        intake.add("warning", file, "", "is of no format of boxes; not read")
    for video, found in tracks.items():
        _note_doubled(intake, video, found)
    return ReadTracks(tracks, intake.problems)


def _note_doubled(intake: Intake, video: str, tracks: Sequence[Track]) -> None:
    for track in tracks:
        frames = Counter(box.image_id for box in track.boxes)
        several = sum(count > 1 for count in frames.values())
        if several:
            what = f"{several} frames of {video} have several boxes of {track.name!r}; no track tells them apart"
            intake.add("warning", intake.root, "", what)


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
            info = _info(view) if view.name in tracks else None
            ids_a_frame = 2 if info is not None and frame_index(1, info.fps) == 0 else 1
            for role in ROLES:
                chosen = chosen_track(tracks.get(view.name, ()), role)
                if chosen is not None:
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


def chosen_track(tracks: Sequence[Track], role: str) -> Track | None:
    """The track that is the scenario's pedestrian or vehicle; None where there is none of that role."""
    of_role = [track for track in tracks if track.role == role]
    return max(of_role, key=lambda track: sum(box.area for box in track.boxes)) if of_role else None


def join_tracks(scenarios: Sequence[Scenario], tracks: Mapping[str, Sequence[Track]], file: str) -> Joined:
    """As `with_tracks`, with how many boxes are used and all that is not, as problems of the file of boxes."""
    views = {view.name: view for scenario in scenarios for view in scenario.views}
    problems: list[Problem] = []

    def note(level: str, message: str) -> None:
        problems.append(Problem("warning" if level == "warning" else "note", file, "", printable(message)))

    elsewhere = {video: _count(found) for video, found in tracks.items() if video not in views}
    if elsewhere:
        more = ", ..." if len(elsewhere) > NAMED else ""
        named = ", ".join(repr(name) for name in sorted(elsewhere)[:NAMED]) + more
        what = f"{sum(elsewhere.values())} boxes are of {len(elsewhere)} videos that are no view: {named}; not used"
        note("warning", f"{what}; the views are called such as {next(iter(sorted(views)), 'nothing')!r}")
    used = 0
    nobody: Counter[str] = Counter()
    others = 0
    for video, found in tracks.items():
        if video not in views:
            continue
        for track in found:
            if not track.role:
                nobody[track.label] += len(track.boxes)
        for role in ROLES:
            chosen = chosen_track(found, role)
            if chosen is not None:
                used += len(chosen.boxes)
                others += sum(track.role == role for track in found) - 1
                for message in _outside(views[video], chosen.boxes):
                    note("warning", f"{video}: {message}")
    for label, count in nobody.items():
        note("warning", f"{count} boxes have the label {label[:60]!r}, which means no {' or '.join(ROLES)}; not used")
    if others:
        note("note", f"{others} more tracks of road users are not used: of each view the largest of each role counts")
    note("note", f"{used} boxes are used, in {len(views.keys() & tracks.keys())} of {len(views)} views")
    return Joined(with_tracks(scenarios, tracks), used, problems)


def _outside(view: View, boxes: Sequence[Box]) -> list[str]:
    """What is said of boxes that the video of their view does not show."""
    info = _info(view)
    if info is None:
        return []
    late = sum(box.image_id >= info.frames for box in boxes)
    away = sum(
        x >= info.width or y >= info.height or x + w <= 0 or y + h <= 0 for x, y, w, h in (box.xywh for box in boxes)
    )
    said = [f"{late} of {len(boxes)} boxes are in frames after its last, {info.frames - 1}; not used"] if late else []
    if away:
        said.append(f"{away} of {len(boxes)} boxes lie outside the frame of {info.width}x{info.height}; not used")
    return said


def _count(tracks: Sequence[Track]) -> int:
    return sum(len(track.boxes) for track in tracks)


def _info(view: View) -> VideoInfo | None:
    try:
        return probe(view.video)
    except VideoError:
        return None  # the video will be left out, with its reason


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(4096).decode("utf-8", "replace")
    except OSError:
        return ""
