"""Detect through whole data sets: each view without boxes gets its pedestrian and its vehicle, clip by clip.

    OUT/annotations/bbox_generated/ROLE/SPLIT/[normal_trimmed/]SCENARIO/{overhead,vehicle}_view/VIEW_bbox.json
    OUT/external/BDD_PC_5K/annotations/bbox_generated/SPLIT/VIEW_bbox.json
    OUT/CLIP.xml             of a folder of clips: CVAT XML, which CVAT opens and `data.tracks` reads
    OUT/detected.jsonl       what was found in each clip; a stopped run goes on behind it

Those of WTS are `{"annotations": [{"image_id", "bbox", "auto-generated": true, "phase_number": ""}]}`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Required, TypedDict

import numpy as np

from cityscribe.detect.detector import Detection, Detector, detect
from cityscribe.detect.tracker import track
from cityscribe.digest_store import file_digests
from cityscribe.files import InputError, write_json, write_text
from cityscribe.media.video import VideoError, VideoInfo, probe, read_frames
from cityscribe.predict.journal import Journal
from cityscribe.progress import Progress, silent
from cityscribe.sources.boxes.cvat import cvat_of
from cityscribe.sources.boxes.track import Track, interpolated
from cityscribe.sources.tracks import chosen_track, with_tracks
from cityscribe.traffic.scenario import ROLES, Box, Scenario, View

LOW_SCORE = 0.1
"""From which a detection may continue a track that has begun (BYTE)."""

READ_BYTES = 512_000_000
"""Of decoded frames in memory."""


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """How clips are looked at."""

    threshold: float = 0.5  # score from which a detection may begin a track
    every: int = 3  # frames from one that is looked at to the next; boxes in between are interpolated
    batch: int = 8  # frames that go through the model together
    patience_s: float = 1.0  # that an object may be hidden
    all_views: bool = False  # also those that have boxes already


class DetectedLine(TypedDict, total=False):
    """What was found in a view, a line of the journal."""

    split: Required[str]
    scenario: Required[str]
    view: Required[str]
    boxes: Required[dict[str, int]]  # by road user
    tracks: Required[int]
    why: str  # nothing was found because the video cannot be read


def detect_clips(
    scenarios: Sequence[Scenario],
    detector: Detector,
    base: str,
    out: Path,
    options: DetectOptions,
    *,
    progress: Progress | None = None,
) -> list[DetectedLine]:
    """Write generated boxes for the views that have none, and return a line for each: what was found, or why nothing.

    `base` names the detector in the journal: with another one, or other options, all is detected anew. Of several
    pedestrians or vehicles the one with the largest boxes in sum is the scenario's (`sources.tracks.with_tracks`).
    Raises InputError for files that cannot be written.
    """
    wanted = [
        (scenario, view)
        for scenario in scenarios
        for view in scenario.views
        if options.all_views or not any(view.boxes.values())
    ]
    report = progress or silent
    try:
        out.mkdir(parents=True, exist_ok=True)
        journal = Journal(out / "detected.jsonl", _key(base, options))
        lines: list[DetectedLine] = list(journal.finished)
        known = {(line["split"], line["scenario"], line["view"]) for line in lines}
        report(0, len(wanted))
        try:
            for done, (scenario, view) in enumerate(wanted, start=1):
                if (scenario.split, scenario.name, view.name) not in known:
                    line = _detect_view(scenario, view, detector, out, options)
                    journal.append(line)
                    lines.append(line)
                report(done, len(wanted))
        finally:
            journal.close()
    except OSError as error:
        raise InputError(f"{error.filename or out}: cannot be written: {error.strerror or error}") from error
    return lines


def look_through(view: View, detector: Detector, options: DetectOptions) -> list[tuple[int, list[Detection]]]:
    """The detections of a view's video by frame, every `options.every` frames. Raises VideoError."""
    info = probe(view.video)
    found: list[tuple[int, list[Detection]]] = []
    for numbers, frames in _batches(view.video, info, options):
        found += zip(numbers, detect(detector, frames, min(LOW_SCORE, options.threshold)), strict=True)
    return found


def join(
    found: Sequence[tuple[int, Sequence[Detection]]], view: View, fps: float, options: DetectOptions
) -> list[Track]:
    """The tracks of a view's detections, boxes on every frame from an object's first to its last.

    In a vehicle view the vehicle is the one that films: only pedestrians are joined.
    """
    tracks = []
    patience = max(math.ceil(options.patience_s * fps), options.every)
    for role in ("pedestrian",) if view.kind == "vehicle" else ROLES:
        of_role = [(frame, [each for each in seen if each.role == role]) for frame, seen in found]
        for number, each in enumerate(
            track(of_role, high=options.threshold, step=options.every, patience=patience), start=1
        ):
            keys = [(Box(frame, xywh, generated=True), True) for frame, xywh in each.boxes.items()]
            tracks.append(Track(f"{role} {number}", role, interpolated(keys)))
    return tracks


def write_boxes(scenario: Scenario, view: View, tracks: Sequence[Track], out: Path) -> dict[str, int]:
    """Write the boxes of a view's pedestrian and vehicle; how many of each. A road user without a track gets no file.

    BDD_PC_5K has a place for the boxes of pedestrians only.
    """
    if scenario.source == "clips":
        return _write_cvat(scenario, view, tracks, out)
    (joined,) = with_tracks([replace(scenario, views=(view,))], {view.name: list(tracks)})
    counts = {}
    for role in ("pedestrian",) if scenario.domain == "external" else ROLES:
        if any(each.role == role for each in tracks):
            boxes = [box for box in joined.views[0].boxes[role] if box.generated]
            path = out / boxes_path(scenario, view, role)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {"annotations": [_annotation(box) for box in boxes]})
            counts[role] = len(boxes)
    return counts


def _write_cvat(scenario: Scenario, view: View, tracks: Sequence[Track], out: Path) -> dict[str, int]:
    """Write the boxes of a clip's pedestrian and vehicle as CVAT XML; how many of each."""
    chosen = {role: found for role in ROLES if (found := chosen_track(tracks, role)) is not None}
    if chosen:
        path = out / f"{scenario.name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, cvat_of(view.video.name, {role: track.boxes for role, track in chosen.items()}))
    return {role: len(track.boxes) for role, track in chosen.items()}


def boxes_path(scenario: Scenario, view: View, role: str) -> Path:
    """Where WTS has the generated boxes of a road user in a view, relative to the folder of the data set."""
    name = f"{view.name}_bbox.json"
    if scenario.domain == "external":
        return Path("external", "BDD_PC_5K", "annotations", "bbox_generated", scenario.split, name)
    group = ("normal_trimmed",) if "normal_trimmed" in view.video.parts else ()
    place = Path(role, scenario.split, *group, scenario.name, f"{view.kind}_view")
    return Path("annotations", "bbox_generated") / place / name


def _detect_view(scenario: Scenario, view: View, detector: Detector, out: Path, options: DetectOptions) -> DetectedLine:
    line: DetectedLine = {
        "split": scenario.split,
        "scenario": scenario.name,
        "view": view.name,
        "boxes": {},
        "tracks": 0,
    }
    try:
        found = look_through(view, detector, options)
        tracks = join(found, view, probe(view.video).fps, options)
    except VideoError as error:
        return {**line, "why": str(error)}
    return {**line, "boxes": write_boxes(scenario, view, tracks, out), "tracks": len(tracks)}


def _annotation(box: Box) -> dict[str, object]:
    xywh = [round(value, 2) for value in box.xywh]
    return {"image_id": box.image_id, "bbox": xywh, "auto-generated": True, "phase_number": ""}


def _batches(video: Path, info: VideoInfo, options: DetectOptions) -> Iterator[tuple[list[int], list[np.ndarray]]]:
    """The frames that are looked at, in batches. Many are read at once, as memory allows, because reading begins at a
    key frame, of which some videos have one in ten seconds."""
    read_at_once = max(READ_BYTES // (3 * info.width * info.height), options.batch)
    numbers = range(0, info.frames, options.every)
    for start in range(0, len(numbers), read_at_once):
        chunk = numbers[start : start + read_at_once]
        pictures = read_frames(video, chunk)
        for first in range(0, len(chunk), options.batch):
            batch = list(chunk[first : first + options.batch])
            yield batch, [pictures.pop(number) for number in batch]


def _key(base: str, options: DetectOptions) -> str:
    """A hash of what decides the boxes: the detector's files, and the options but how many frames go together."""
    files = file_digests(Path(base)) if Path(base).is_dir() else []
    settings = [files or base, options.threshold, options.every, options.patience_s]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()
