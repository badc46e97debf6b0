"""Write the synthetic city as a WTS data set: videos, captions, boxes and the list of reference views.

Nothing that reads the result can tell that it is synthetic: phases are stored out of order, times are strings, the
vehicle view runs on a clock of its own, and a share of the scenarios are single clips in `external/BDD_PC_5K`.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cityscribe.records import ROLES, InputError
from cityscribe.video import write_video
from cityscribe.world.event import Event, sample_event
from cityscribe.world.facts import facts_at
from cityscribe.world.render import person_box, render, vehicle_box
from cityscribe.world.scene import Camera, dashboard_camera, fixed_camera
from cityscribe.world.words import pedestrian_caption, vehicle_caption

WIDTH, HEIGHT = 640, 360
LEAD_S = 0.2  # of video before the first phase and after the last


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """How large a data set, and how it looks."""

    train: int = 40  # scenarios
    val: int = 12
    external: float = 0.3  # share of scenarios that are single clips from a vehicle
    seed: int = 0
    fps: int = 10
    annotators: int = 1  # whose hands the captions are in; see `words`


@dataclass(frozen=True, slots=True)
class _Job:
    name: str
    split: str
    external: bool
    seed: int
    settings: WorldSettings
    root: str


def write_dataset(
    root: Path, settings: WorldSettings, *, workers: int = 0, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write a data set into a folder that must not exist yet; it appears whole or not at all.

    `workers` processes, 0 for one a core. Equal settings give equal bytes, however many processes.
    """
    if root.exists():
        raise InputError(f"{root}: already there; remove it or name another folder")
    partial = root.with_name(root.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    jobs = list(_jobs(partial, settings))
    references: dict[str, list[str]] = {}
    for done, (name, views) in enumerate(_run(jobs, workers), start=1):
        if views:
            references[name] = views
        if progress is not None:
            progress(done, len(jobs))
    rows = ["Scene,View1,View2,View3,View4"]
    rows += [",".join([name, *views, *[""] * (4 - len(views))]) for name, views in sorted(references.items())]
    (partial / "view_used_as_main_reference_for_multiview_scenario.csv").write_text("\n".join(rows) + "\n")
    os.replace(partial, root)


def _run(jobs: list[_Job], workers: int) -> Iterable[tuple[str, list[str]]]:
    count = min(workers or os.cpu_count() or 1, len(jobs))
    if count <= 1:
        yield from map(_write_scenario, jobs)
        return
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_write_scenario, jobs)


def _jobs(root: Path, settings: WorldSettings) -> Iterable[_Job]:
    """Train, val and test never share a seed of an event."""
    number = 0
    for split, count in (("train", settings.train), ("val", settings.val)):
        external = round(count * settings.external)
        for i in range(count):
            number += 1
            is_external = i < external
            name = f"video{5000 + number}" if is_external else f"20230901_{number}_SY{number:04d}_T1"
            yield _Job(name, split, is_external, settings.seed * 1_000_003 + number, settings, str(root))


def _write_scenario(job: _Job) -> tuple[str, list[str]]:
    """Write one scenario; returns its name and the videos of its overhead views."""
    event, root = sample_event(job.seed), Path(job.root)
    rng = np.random.default_rng([job.seed, 2])
    hand = int(rng.integers(job.settings.annotators))
    shift = round(float(rng.uniform(0.0, 0.3)), 1)  # the vehicle's clock runs behind the overhead cameras'
    if job.external:
        base = root / "external" / "BDD_PC_5K"
        video = base / "videos" / job.split / f"{job.name}.mp4"
        annotations = base / "annotations"
        boxes = _film(event, _Dashboard(), video, job, 0.0)["pedestrian"]
        head = {"id": job.seed % 100_000, "video_name": video.name, "fps": f"{job.settings.fps:.3f}"}
        captions = {**head, "event_phase": _phases(event, 0.0, hand)}
        _dump(annotations / "caption" / job.split / f"{job.name}_caption.json", captions)
        _dump(annotations / "bbox_annotated" / job.split / f"{job.name}_bbox.json", {"annotations": boxes})
        return job.name, []
    overhead = f"{job.name}_Camera1_0"
    own = f"{job.name}_vehicle_view"
    _write_view(event, _Mast(event, rng), job, overhead, 0.0, hand, {"overhead_videos": [f"{overhead}.mp4"]})
    _write_view(event, _Dashboard(), job, own, shift, hand, {"vehicle_view": f"{own}.mp4"})
    return job.name, [f"{overhead}.mp4"]


def _write_view(
    event: Event, rig: _Dashboard | _Mast, job: _Job, stem: str, offset: float, hand: int, head: dict[str, Any]
) -> None:
    """Video, captions and boxes of one view of a scenario of WTS itself."""
    root = Path(job.root)
    place = Path(job.split, job.name, "overhead_view" if isinstance(rig, _Mast) else "vehicle_view")
    boxes = _film(event, rig, root / "videos" / place / f"{stem}.mp4", job, offset)
    captions = {"id": job.seed % 100_000, **head, "event_phase": _phases(event, offset, hand)}
    _dump(root / "annotations" / "caption" / place / f"{job.name}_caption.json", captions)
    for role in ROLES:
        if boxes[role]:
            path = root / "annotations" / "bbox_annotated" / role / place / f"{stem}_bbox.json"
            _dump(path, {"annotations": boxes[role]})


def _phases(event: Event, offset: float, hand: int) -> list[dict[str, Any]]:
    """The phases of a caption file, last first as WTS has them, in the time of a view that starts `offset` late."""
    entries = []
    for phase in reversed(range(len(event.motions))):
        facts = facts_at(event, event.boundaries_s[phase])
        entries.append(
            {
                "labels": [str(phase)],
                "caption_pedestrian": pedestrian_caption(facts, hand),
                "caption_vehicle": vehicle_caption(facts, hand),
                "start_time": f"{event.boundaries_s[phase] - offset:.3f}",
                "end_time": f"{event.boundaries_s[phase + 1] - offset:.3f}",
            }
        )
    return entries


class _Dashboard:
    """The camera of the vehicle itself."""

    def at(self, event: Event, time_s: float) -> Camera:
        return dashboard_camera(event.vehicle_at(time_s), 0, width=WIDTH, height=HEIGHT, focal=500)


class _Mast:
    """A fixed camera beside the street, set up so that both road users are in its picture all the time."""

    def __init__(self, event: Event, rng: np.random.Generator) -> None:
        moments = np.linspace(event.boundaries_s[0], event.end_s, 6)
        spots = [(s.x, s.y) for t in moments for s in (event.person_at(t), event.vehicle_at(t))]
        middle = (np.array(spots).max(axis=0) + np.array(spots).min(axis=0)) / 2
        side, end = (float(v) for v in rng.choice([-1, 1], 2))
        away = float(rng.uniform(9, 13))
        angle = float(rng.uniform(0.35, 1.1))
        where = (middle[0] + side * away * math.sin(angle), middle[1] + end * away * math.cos(angle))
        mast = float(rng.uniform(4.5, 7.0))
        target = (float(middle[0]), float(middle[1]))
        wide = fixed_camera(where, target, mast=mast, width=WIDTH, height=HEIGHT, focal=200)
        points = wide.to_camera(
            np.array(
                [[x + dx, y + dy, z] for x, y in spots for dx in (-2.2, 2.2) for dy in (-2.2, 2.2) for z in (0.0, 1.8)]
            )
        )
        seen = points[points[:, 2] > 2.0]
        reach = max(
            float(np.abs(seen[:, 0] / seen[:, 2]).max()) / (WIDTH / 2),
            float(np.abs(seen[:, 1] / seen[:, 2]).max()) / (HEIGHT / 2),
        )
        focal = float(np.clip(0.97 / reach, 300, 700))
        self._camera = fixed_camera(where, target, mast=mast, width=WIDTH, height=HEIGHT, focal=focal)

    def at(self, event: Event, time_s: float) -> Camera:
        return self._camera


def _film(
    event: Event, rig: _Dashboard | _Mast, path: Path, job: _Job, offset: float
) -> dict[str, list[dict[str, Any]]]:
    """Write the video of one view and return the boxes of its phases' first frames by role."""
    fps = job.settings.fps
    first = max(0, math.floor((event.boundaries_s[0] - LEAD_S - offset) * fps))
    last = math.ceil((event.end_s - offset + LEAD_S) * fps)
    boxes: dict[str, list[dict[str, Any]]] = {role: [] for role in ROLES}
    for phase in range(len(event.motions)):
        frame = math.ceil((event.boundaries_s[phase] - offset) * fps - 1e-6)
        moment = frame / fps + offset
        camera = rig.at(event, moment)
        found = {"pedestrian": person_box(event.person_at(moment), camera)}
        if isinstance(rig, _Mast):
            found["vehicle"] = vehicle_box(event.vehicle_at(moment), camera)
        for role, box in found.items():
            if box is not None:
                boxes[role].append(
                    {"image_id": frame, "bbox": list(box), "auto-generated": False, "phase_number": str(phase)}
                )

    def frames() -> Iterable[np.ndarray]:
        for i in range(last + 1):
            moment = max(i, first) / fps + offset  # the camera waits before the event: the picture stands
            yield render(event.scene_at(moment), rig.at(event, moment), seed=job.seed * 1000 + max(i, first))

    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames(), fps)
    return boxes


def _dump(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
