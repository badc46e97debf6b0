"""Builds small data sets in the layout of WTS, one quirk at a time. Videos are empty files unless a test writes one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

VIEWS = {"overhead": "overhead_view", "vehicle": "vehicle_view"}


def phase(label: Any, start: Any = None, end: Any = None, **changes: Any) -> dict[str, Any]:
    """A phase as WTS writes it: one label in a list, times as strings of seconds; by default two seconds for each."""
    number = int(label) if str(label).isdigit() else 0
    entry = {
        "labels": [label],
        "caption_pedestrian": f"The pedestrian in phase {label}.",
        "caption_vehicle": f"The vehicle in phase {label}.",
        "start_time": f"{2 * number}.000" if start is None else start,
        "end_time": f"{2 * number + 2}.000" if end is None else end,
    }
    return {**entry, **changes}


def withheld(label: str) -> dict[str, Any]:
    """A phase of a test set: times without captions."""
    return {key: value for key, value in phase(label).items() if not key.startswith("caption")}


def box(image_id: Any, bbox: Any = (10, 8, 30, 20), phase_number: Any = "0", **changes: Any) -> dict[str, Any]:
    entry = {"image_id": image_id, "bbox": list(bbox) if isinstance(bbox, tuple) else bbox, "auto-generated": False}
    return {**entry, "phase_number": phase_number, **changes}


def write(path: Path, content: Any = b"") -> Path:
    """A file with the given bytes or text, or anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def caption_path(part: Path, where: str, name: str, kind: str) -> Path:
    return part / "annotations" / "caption" / where / name / VIEWS[kind] / f"{name}_caption.json"


def video_path(part: Path, where: str, name: str, kind: str, stem: str) -> Path:
    return part / "videos" / where / name / VIEWS[kind] / f"{stem}.mp4"


def box_path(part: Path, where: str, name: str, kind: str, stem: str, role: str, tree: str = "bbox_annotated") -> Path:
    return part / "annotations" / tree / role / where / name / VIEWS[kind] / f"{stem}_bbox.json"


def add_overhead(
    part: Path,
    name: str,
    where: str = "train",
    *,
    cameras: int = 2,
    phases: Iterable[dict[str, Any]] | None = None,
    videos: bool = True,
    **changes: Any,
) -> list[str]:
    """A scenario seen from overhead; `where` is the folder of the split with all below it. Returns the video stems."""
    stems = [f"{name}_Camera{camera}_0" for camera in range(1, cameras + 1)]
    record = {
        "id": 1,
        "overhead_videos": [f"{stem}.mp4" for stem in stems],
        "event_phase": [phase(label) for label in "43210"] if phases is None else list(phases),
    }
    write(caption_path(part, where, name, "overhead"), {**record, **changes})
    for stem in stems if videos else ():
        write(video_path(part, where, name, "overhead", stem))
    return stems


def add_vehicle(
    part: Path, name: str, where: str = "train", *, phases: Sequence[dict[str, Any]] | None = None, **changes: Any
) -> str:
    """The vehicle view of a scenario, its times not those of the overhead view. Returns the video stem."""
    stem = f"{name}_vehicle_view"
    later = [phase(label, f"{2 * int(label) + 1}.5", f"{2 * int(label) + 3}.5") for label in "10243"]
    record = {"vehicle_view": f"{stem}.mp4", "event_phase": later if phases is None else list(phases)}
    write(caption_path(part, where, name, "vehicle"), {**record, **changes})
    write(video_path(part, where, name, "vehicle", stem))
    return stem


def add_boxes(
    part: Path,
    name: str,
    kind: str,
    stem: str,
    role: str,
    boxes: Any,
    where: str = "train",
    *,
    tree: str = "bbox_annotated",
) -> Path:
    return write(box_path(part, where, name, kind, stem, role, tree), {"annotations": boxes})


def add_external(part: Path, name: str, where: str = "train", *, phases: Any = None, **changes: Any) -> None:
    """A clip of BDD_PC_5K with one pedestrian box a phase; no folder of a scenario or a role."""
    record = {
        "id": 7,
        "video_name": f"{name}.mp4",
        "fps": "29.970",
        "event_phase": [phase(label) for label in "20134"] if phases is None else phases,
    }
    write(part / "annotations" / "caption" / where / f"{name}_caption.json", {**record, **changes})
    write(part / "videos" / where.replace("public_challenge", "public") / f"{name}.mp4")
    boxes = [box(30 * number, phase_number=number if number % 2 else str(number)) for number in range(5)]
    path = part / "annotations" / "bbox_annotated" / where.replace("public_challenge", "public") / f"{name}_bbox.json"
    write(path, {"annotations": boxes})
