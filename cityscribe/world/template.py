"""A small example of data of one's own, to be looked at and replaced: clips, a table of claims and boxes.

    clips/gate-01.mp4 ...      a mast's view of an event each
    boxes/gate-01.xml ...      their pedestrian and vehicle, as CVAT exports them
    claims.csv                 clip, start, end, text, question, answer, split
    README.md                  what to do with it

It is what the source `table` reads (docs/own-data.md).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cityscribe.files import write_text
from cityscribe.media.video import write_video
from cityscribe.progress import Progress
from cityscribe.sources.boxes.cvat import cvat_of
from cityscribe.traffic.scenario import ROLES, Box
from cityscribe.world.captions import vehicle_caption
from cityscribe.world.event import sample_event
from cityscribe.world.facts import facts_at
from cityscribe.world.jobs import write_whole
from cityscribe.world.render import box_of
from cityscribe.world.renderers import RENDERERS
from cityscribe.world.rigs import Mast

COLUMNS = ("clip", "start", "end", "text", "question", "answer", "split")
FPS = 5
WIDTH = 640
TOLD = (1, 3)
"""Phases of an event that a row of the table tells."""

README = """# An example of your own data

`claims.csv` has a row for each text about a stretch of a clip (start and end in seconds), or for each question with its
answer. `clips/` has the clips, `boxes/` what CVAT exports of them; other annotation tools do as well, and boxes can be
left out. Replace all three by your own, then

    cityscribe check .
    cityscribe init project.yaml --data .
    cityscribe run project.yaml

The clips are drawn by a synthetic city, and the texts are by no person.
"""


@dataclass(frozen=True, slots=True)
class _Job:
    name: str
    split: str
    seed: int


def write_template(root: Path, clips: int = 4, *, seed: int = 0, progress: Progress | None = None) -> None:
    """Write the example into a folder that must not exist yet; it appears whole or not at all. The last clip validates.

    Raises InputError where the folder exists, or files cannot be written.
    """
    jobs = [
        _Job(f"gate-{number:02d}", "val" if number == clips else "train", seed * 1_000_003 + number)
        for number in range(1, clips + 1)
    ]
    write_whole(root, {"clips": clips, "seed": seed}, jobs, _write_clip, _write_table, workers=1, progress=progress)


def _write_clip(root: Path, job: _Job) -> list[list[str]]:
    """Write a clip and its boxes; returns its rows of the table."""
    event = sample_event(job.seed)
    rig = Mast(event, np.random.default_rng([job.seed, 2]))
    moments = [number / FPS for number in range(int(event.end_s * FPS) + 1)]
    boxes: dict[str, list[Box]] = {role: [] for role in ROLES}
    draw: Any = RENDERERS["raster"]

    def frames() -> Iterable[np.ndarray]:
        for number, moment in enumerate(moments):
            scene, camera = event.scene_at(moment), rig.at(event, moment).of_width(WIDTH)
            found = {"pedestrian": box_of(scene.people[0], camera), "vehicle": box_of(scene.vehicles[0], camera)}
            for role, xywh in found.items():
                if xywh is not None:
                    boxes[role].append(Box(number, xywh))
            yield draw(scene, camera, seed=job.seed * 1000 + number, blur=rig.blur, noise=rig.noise)

    for folder in ("clips", "boxes"):
        (root / folder).mkdir()
    video = root / "clips" / f"{job.name}.mp4"
    write_video(video, frames(), FPS)
    write_text(root / "boxes" / f"{job.name}.xml", cvat_of(video.name, {role: boxes[role] for role in ROLES}))
    rows = []
    for phase in TOLD:
        start_s, end_s = event.boundaries_s[phase : phase + 2]
        facts = facts_at(event, start_s, [rig.at(event, start_s)])
        rows.append([video.name, f"{start_s:.2f}", f"{end_s:.2f}", vehicle_caption(facts), "", "", job.split])
    asked = ["What is the weather like?", f"It is {facts['weather']}."]
    return [*rows, [video.name, "", "", "", *asked, job.split]]


def _write_table(root: Path, results: list[list[list[str]]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([COLUMNS, *(row for rows in results for row in rows)])
    write_text(root / "claims.csv", out.getvalue())
    write_text(root / "README.md", README)
