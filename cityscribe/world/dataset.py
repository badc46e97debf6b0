"""Write the synthetic city as a WTS data set: videos, captions, boxes and the list of reference views.

Nothing that reads the result can tell that it is synthetic: phases are stored out of order, times are strings, the
vehicle view runs on a clock of its own, and a share of the scenarios are single clips in `external/BDD_PC_5K`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Literal

import numpy as np

from cityscribe.files import write_text
from cityscribe.media.video import write_video
from cityscribe.progress import Progress
from cityscribe.traffic.scenario import ROLES
from cityscribe.world.captions import pedestrian_caption, vehicle_caption
from cityscribe.world.event import Event, sample_event
from cityscribe.world.facts import Facts, facts_at
from cityscribe.world.jobs import dump, write_whole
from cityscribe.world.render import box_of
from cityscribe.world.renderers import RENDERERS
from cityscribe.world.rigs import WIDTH, Dashboard, Mast

LEAD_S = 0.2  # of video before the first phase and after the last

Encoding = Literal["compact", "quick"]
"""How a video is compressed. `quick` takes a quarter of the time of `compact`, and no more room
where pixels are noisy."""

WRITERS: dict[Encoding, Callable[..., int]] = {
    "compact": write_video,
    "quick": partial(write_video, preset="ultrafast", crf=23, b_frames=0),
}


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """How large a data set, and how it looks."""

    train: int = 40  # scenarios
    val: int = 12
    test: int = 0
    external: float = 0.3  # share of scenarios that are single clips from a vehicle
    seed: int = 0
    fps: int = 10
    annotators: int = 1  # whose hands the captions are in; see `words`
    masts: int = 1  # overhead cameras of a scenario, 1 to 4
    renderer: str = "raster"
    width: int = WIDTH  # of the videos, in pixels; they are 16:9
    encoding: Encoding = "compact"


@dataclass(frozen=True, slots=True)
class _Job:
    name: str
    split: str
    external: bool
    seed: int
    settings: WorldSettings


def write_dataset(root: Path, settings: WorldSettings, *, workers: int = 0, progress: Progress | None = None) -> None:
    """Write a data set into a folder that must not exist yet; it appears whole or not at all.

    `workers` processes, 0 for one a core. Equal settings give equal bytes, however many processes, and after an
    interruption too. Raises InputError where the folder exists.
    """
    write_whole(
        root, asdict(settings), list(_jobs(settings)), _write_scenario, _write_views, workers=workers, progress=progress
    )


def _write_views(root: Path, results: list[tuple[str, list[str]]]) -> None:
    """The list of reference views: the overhead views of each scenario."""
    rows = ["Scene,View1,View2,View3,View4"]
    rows += [",".join([name, *views, *[""] * (4 - len(views))]) for name, views in sorted(results) if views]
    write_text(root / "view_used_as_main_reference_for_multiview_scenario.csv", "\n".join(rows) + "\n")


def _jobs(settings: WorldSettings) -> Iterable[_Job]:
    """Train, val and test never share a seed of an event."""
    number = 0
    for split, count in (("train", settings.train), ("val", settings.val), ("test", settings.test)):
        external = round(count * settings.external)
        for i in range(count):
            number += 1
            is_external = i < external
            name = f"video{5000 + number}" if is_external else f"20230901_{number}_SY{number:04d}_T1"
            yield _Job(name, split, is_external, settings.seed * 1_000_003 + number, settings)


def _write_scenario(root: Path, job: _Job) -> tuple[str, list[str]]:
    """Write one scenario; returns its name and the videos of its overhead views."""
    event = sample_event(job.seed, unseen=job.split == "test")
    rng = np.random.default_rng([job.seed, 2])
    hand = int(rng.integers(job.settings.annotators))
    shift = round(float(rng.uniform(0.0, 0.3)), 1)  # the vehicle's clock runs behind the overhead cameras'
    if job.external:
        base = root / "external" / "BDD_PC_5K"
        video = base / "videos" / job.split / f"{job.name}.mp4"
        annotations = base / "annotations"
        boxes = _film(event, Dashboard(), video, job, 0.0)["pedestrian"]
        head = {"id": job.seed % 100_000, "video_name": video.name, "fps": f"{job.settings.fps:.3f}"}
        captions = {**head, "event_phase": _phases(event, _tables(event, [Dashboard()]), 0.0, hand)}
        dump(annotations / "caption" / job.split / f"{job.name}_caption.json", captions)
        dump(annotations / "bbox_annotated" / job.split / f"{job.name}_bbox.json", {"annotations": boxes})
        return job.name, []
    overhead = [f"{job.name}_Camera{number + 1}_0" for number in range(job.settings.masts)]
    videos = [f"{stem}.mp4" for stem in overhead]
    own = f"{job.name}_vehicle_view"
    rigs: list[Dashboard | Mast] = [*(Mast(event, rng) for _ in overhead), Dashboard()]
    tables = _tables(event, rigs)
    for stem, rig in zip(overhead, rigs, strict=False):
        captions = {"overhead_videos": videos, "event_phase": _phases(event, tables, 0.0, hand)}
        _write_view(root, event, rig, job, stem, 0.0, captions)
    captions = {"vehicle_view": f"{own}.mp4", "event_phase": _phases(event, tables, shift, hand)}
    _write_view(root, event, rigs[-1], job, own, shift, captions)
    return job.name, videos


def _write_view(
    root: Path,
    event: Event,
    rig: Dashboard | Mast,
    job: _Job,
    stem: str,
    offset: float,
    captions: dict[str, object],
) -> None:
    """Video, captions and boxes of one view of a scenario of WTS itself."""
    place = Path(job.split, job.name, "overhead_view" if isinstance(rig, Mast) else "vehicle_view")
    boxes = _film(event, rig, root / "videos" / place / f"{stem}.mp4", job, offset)
    dump(root / "annotations" / "caption" / place / f"{job.name}_caption.json", {"id": job.seed % 100_000, **captions})
    for role in ROLES:
        if boxes[role]:
            path = root / "annotations" / "bbox_annotated" / role / place / f"{stem}_bbox.json"
            dump(path, {"annotations": boxes[role]})


def _tables(event: Event, rigs: Sequence[Dashboard | Mast]) -> list[Facts]:
    """What any camera of a scenario sees as each phase begins. All its views have the captions of these."""
    begins = event.boundaries_s[:-1]
    return [facts_at(event, begin, [rig.at(event, begin) for rig in rigs]) for begin in begins]


def _phases(event: Event, tables: list[Facts], offset: float, hand: int) -> list[dict[str, object]]:
    """The phases of a caption file, last first as WTS has them, in the time of a view that starts `offset` late."""
    entries: list[dict[str, object]] = []
    for phase, facts in reversed(list(enumerate(tables))):
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


def _film(
    event: Event, rig: Dashboard | Mast, path: Path, job: _Job, offset: float
) -> dict[str, list[dict[str, object]]]:
    """Write the video of one view and return the boxes of its phases' first frames by role."""
    fps = job.settings.fps
    first = max(0, math.floor((event.boundaries_s[0] - LEAD_S - offset) * fps))
    last = math.ceil((event.end_s - offset + LEAD_S) * fps)
    draw = RENDERERS[job.settings.renderer]
    boxes: dict[str, list[dict[str, object]]] = {role: [] for role in ROLES}
    for phase in range(len(event.motions)):
        frame = math.ceil((event.boundaries_s[phase] - offset) * fps - 1e-6)
        moment = frame / fps + offset
        camera = rig.at(event, moment).of_width(job.settings.width)
        found = {"pedestrian": box_of(event.person_at(moment), camera)}
        if isinstance(rig, Mast):
            found["vehicle"] = box_of(event.vehicle_at(moment), camera)
        for role, box in found.items():
            if box is not None:
                boxes[role].append(
                    {"image_id": frame, "bbox": list(box), "auto-generated": False, "phase_number": str(phase)}
                )

    def frames() -> Iterable[np.ndarray]:
        for i in range(first, last + 1):
            moment = i / fps + offset
            scene, camera = event.scene_at(moment), rig.at(event, moment).of_width(job.settings.width)
            blur = rig.blur * job.settings.width / WIDTH
            frame = draw(scene, camera, seed=job.seed * 1000 + i, blur=blur, noise=rig.noise)
            # The camera waits before the event: the picture stands.
            yield from repeat(frame, first + 1 if i == first else 1)

    path.parent.mkdir(parents=True, exist_ok=True)
    WRITERS[job.settings.encoding](path, frames(), fps)
    return boxes
