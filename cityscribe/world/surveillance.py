"""Clips of a surveillance camera with and without an accident, in the layout of UCF-Crime (data.source: ucf-crime).

    RoadAccidents/RoadAccidents001_x264.mp4            somebody is hit; the rest of the clip is ordinary traffic
    Normal_Videos_event/Normal_Videos001_x264.mp4      nothing happens, or it just goes well
    Anomaly_Train.txt  Anomaly_Test.txt                the videos of each split
    Temporal_Anomaly_Annotation_for_Testing_Videos.txt first and last frame of the anomaly in the videos of the test
    truth/clips.jsonl                                  a video a line: its split, its kind of event, and what is true
                                                       when that begins

What tells a near miss from an accident is in a second of the clip, so that a model must look at the right moment.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cityscribe.files import write_text
from cityscribe.media.video import write_video
from cityscribe.progress import Progress
from cityscribe.world.clips import ClipJob, ClipSettings, clip_jobs
from cityscribe.world.event import sample_event
from cityscribe.world.facts import Facts, facts_at
from cityscribe.world.jobs import write_whole
from cityscribe.world.renderers import RENDERERS
from cityscribe.world.rigs import WIDTH, Mast

ORDINARY = ("normal", "walking along", "waiting", "near miss", "crossing")
"""Kinds of events that are no anomaly."""


class _Written(NamedTuple):
    """What was written of a clip."""

    split: str
    label: str  # its class
    path: str
    first: int  # frame of the anomaly; -1 for none
    last: int
    kind: str  # of the event
    facts: Facts


def write_clips(root: Path, settings: ClipSettings, *, workers: int = 0, progress: Progress | None = None) -> None:
    """Write clips into a folder that must not exist yet, as many with an accident as without; whole or not at all."""
    jobs = list(clip_jobs(settings))
    write_whole(root, asdict(settings), jobs, _write_clip, _write_lists, workers=workers, progress=progress)


def _write_clip(root: Path, job: ClipJob) -> _Written:
    """Write a clip; returns what there is to know of it."""
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
    blur = rig.blur * settings.width / WIDTH

    def frames() -> Iterable[np.ndarray]:
        for i in range(job.frames):
            moment = min(i / settings.fps, event.end_s)  # after the event, what happened lies there
            camera = rig.at(event, moment).of_width(settings.width)
            yield draw(event.scene_at(moment), camera, seed=job.seed * 1000 + i, blur=blur, noise=rig.noise)

    write_video(root / path, frames(), settings.fps)
    first = round(event.boundaries_s[2] * settings.fps) if accident else -1
    last = job.frames - 1 if accident else -1
    facts = facts_at(event, event.boundaries_s[0], [rig.at(event, event.boundaries_s[0])])
    return _Written(job.split, "RoadAccidents" if accident else "Normal", path.as_posix(), first, last, kind, facts)


def _write_lists(root: Path, results: list[list[object]]) -> None:
    written = [_Written(*result) for result in results]  # type: ignore[arg-type]
    for split, name in (("train", "Anomaly_Train.txt"), ("test", "Anomaly_Test.txt")):
        write_text(root / name, "".join(f"{one.path}\n" for one in written if one.split == split))
    tested = [one for one in written if one.split == "test"]
    times = [f"{Path(one.path).name}  {one.label}  {one.first}  {one.last}  -1  -1\n" for one in tested]
    write_text(root / "Temporal_Anomaly_Annotation_for_Testing_Videos.txt", "".join(times))
    (root / "truth").mkdir(exist_ok=True)
    lines = [
        json.dumps({"video": one.path, "split": one.split, "event": one.kind, "facts": one.facts}) for one in written
    ]
    write_text(root / "truth" / "clips.jsonl", "".join(f"{line}\n" for line in lines))
