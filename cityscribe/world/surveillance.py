"""Clips of a surveillance camera with and without an accident, in the layout of UCF-Crime (data.source: ucf-crime).

    RoadAccidents/RoadAccidents001_x264.mp4            somebody is hit; the rest of the clip is ordinary traffic
    Normal_Videos_event/Normal_Videos001_x264.mp4      nothing happens, or it just goes well
    Anomaly_Train.txt  Anomaly_Test.txt                the videos of each split
    Temporal_Anomaly_Annotation_for_Testing_Videos.txt first and last frame of the anomaly in the videos of the test

What tells a near miss from an accident is in a second of the clip, so that a model must look at the right moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from cityscribe.files import write_text
from cityscribe.media.video import write_video
from cityscribe.progress import Progress
from cityscribe.world.clips import ClipJob, ClipSettings, clip_jobs
from cityscribe.world.event import sample_event
from cityscribe.world.jobs import write_whole
from cityscribe.world.renderers import RENDERERS
from cityscribe.world.rigs import Mast

ORDINARY = ("normal", "walking along", "waiting", "near miss", "crossing")
"""Kinds of events that are no anomaly."""


def write_clips(root: Path, settings: ClipSettings, *, workers: int = 0, progress: Progress | None = None) -> None:
    """Write clips into a folder that must not exist yet, as many with an accident as without; whole or not at all."""
    jobs = list(clip_jobs(settings))
    write_whole(root, asdict(settings), jobs, _write_clip, _write_lists, workers=workers, progress=progress)


def _write_clip(root: Path, job: ClipJob) -> tuple[str, str, str, int, int]:
    """Write a clip; returns its split, class and path, and the first and last frame of the anomaly, -1 for none."""
    settings = job.settings
    accident = job.number % 2 == 1
    rng = np.random.default_rng([job.seed, 21])
    kind = "collision" if accident else str(rng.choice(ORDINARY))
    start = float(rng.uniform(0.15, 0.6)) * settings.seconds
    event = sample_event(job.seed, start_s=start, only=kind)
    rig = Mast(event, rng)
    folder, stem = ("RoadAccidents", "RoadAccidents") if accident else ("Normal_Videos_event", "Normal_Videos")
    path = Path(folder, f"{stem}{job.number:03d}_x264.mp4")
    (root / folder).mkdir(parents=True, exist_ok=True)
    draw = RENDERERS[settings.renderer]

    def frames() -> Iterable[np.ndarray]:
        for i in range(job.frames):
            moment = min(i / settings.fps, event.end_s)  # after the event, what happened lies there
            yield draw(
                event.scene_at(moment), rig.at(event, moment), seed=job.seed * 1000 + i, blur=rig.blur, noise=rig.noise
            )

    write_video(root / path, frames(), settings.fps)
    first = round(event.boundaries_s[2] * settings.fps) if accident else -1
    last = job.frames - 1 if accident else -1
    return job.split, "RoadAccidents" if accident else "Normal", path.as_posix(), first, last


def _write_lists(root: Path, results: list[tuple[str, str, str, int, int]]) -> None:
    for split, name in (("train", "Anomaly_Train.txt"), ("test", "Anomaly_Test.txt")):
        lines = [path for where, _, path, _, _ in results if where == split]
        write_text(root / name, "".join(f"{line}\n" for line in lines))
    times = [
        f"{Path(path).name}  {name}  {first}  {last}  -1  -1\n"
        for split, name, path, first, last in results
        if split == "test"
    ]
    write_text(root / "Temporal_Anomaly_Annotation_for_Testing_Videos.txt", "".join(times))
