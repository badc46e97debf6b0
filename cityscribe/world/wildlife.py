"""Clips of animals of several species that stand, walk, run, eat and lie, in the layout of Animal Kingdom's grounding
task (data.source: animal-kingdom).

    annotation/train.txt  annotation/test.txt     lines CLIP START END##The dog is running.   (seconds)
    AR_metadata.csv                               the class of each clip's animal
    video/CLIP.mp4

A clip shows one animal that does two or three things one after the other.
"""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from cityscribe.files import write_text
from cityscribe.media.video import write_video
from cityscribe.progress import Progress
from cityscribe.world.clips import ClipJob, ClipSettings, clip_jobs
from cityscribe.world.jobs import write_whole
from cityscribe.world.look import ANIMAL_ACTIONS, ANIMALS
from cityscribe.world.renderers import RENDERERS
from cityscribe.world.rigs import HEIGHT, WIDTH
from cityscribe.world.scene import AnimalState, Scene, fixed_camera
from cityscribe.world.surroundings import sample_street

_PACE = {"walking": 0.9, "running": 3.2}
"""Lengths of its body that an animal moves in a second."""


def write_wildlife(root: Path, settings: ClipSettings, *, workers: int = 0, progress: Progress | None = None) -> None:
    """Write clips into a folder that must not exist yet; it appears whole or not at all."""
    jobs = list(clip_jobs(settings))
    write_whole(root, asdict(settings), jobs, _write_clip, _write_lists, workers=workers, progress=progress)


def _write_clip(root: Path, job: ClipJob) -> tuple[str, str, str, list[tuple[float, float, str]]]:
    """Write a clip; returns its split, name, species, and its spans with what the animal does."""
    settings = job.settings
    rng = np.random.default_rng([job.seed, 31])
    species = str(rng.choice(list(ANIMALS)))
    count = int(rng.integers(2, 4))
    cuts = [0.0, *sorted(rng.uniform(0.25, 0.75, count - 1) * settings.seconds), settings.seconds]
    actions = [str(action) for action in rng.choice(ANIMAL_ACTIONS, count, replace=False)]
    spans = [(round(a, 2), round(b, 2), action) for a, b, action in zip(cuts, cuts[1:], actions, strict=False)]
    street = replace(sample_street(rng, bends=False), road="residential road", lanes=1, sidewalks=False)
    shape = ANIMALS[species]
    heading = float(rng.uniform(0, math.tau))
    start = np.array([street.half_width + 2.6, 8.0])
    path = [_state(species, spans, start, heading, i / settings.fps) for i in range(job.frames)]
    middle = (np.array([(s.x, s.y) for s in path]).max(axis=0) + np.array([(s.x, s.y) for s in path]).min(axis=0)) / 2
    reach = max(math.dist((s.x, s.y), middle) for s in path) + shape.length
    away, angle = 2.2 + 2.0 * reach, float(rng.uniform(-0.6, 0.6)) + math.pi
    where = (float(middle[0] + away * math.cos(angle)), float(middle[1] + away * math.sin(angle)))
    camera = fixed_camera(
        where, (float(middle[0]), float(middle[1])), mast=1.2 + 0.4 * reach, width=WIDTH, height=HEIGHT, focal=520
    ).of_width(settings.width)
    name = f"SYN{job.number:05d}"
    (root / "video").mkdir(exist_ok=True)
    draw = RENDERERS[settings.renderer]
    frames = (draw(Scene(street, (), (), (), (state,)), camera, seed=number) for number, state in enumerate(path))
    write_video(root / "video" / f"{name}.mp4", frames, settings.fps)
    return job.split, name, species, spans


def _state(
    species: str, spans: list[tuple[float, float, str]], start: np.ndarray, heading: float, time_s: float
) -> AnimalState:
    """The animal at a moment: it moves ahead while it walks or runs."""
    length = ANIMALS[species].length
    way = sum(max(0.0, min(end, time_s) - begin) * _PACE.get(action, 0.0) * length for begin, end, action in spans)
    action = next((action for begin, end, action in spans if begin <= time_s < end), spans[-1][2])
    x, y = start + way * np.array([math.cos(heading), math.sin(heading)])
    cadence = {"walking": 5.0, "running": 11.0, "eating": 3.0}.get(action, 1.2)
    return AnimalState(species, float(x), float(y), heading, action, cadence * time_s)


def _write_lists(root: Path, results: list[tuple[str, str, str, list[tuple[float, float, str]]]]) -> None:
    (root / "annotation").mkdir(exist_ok=True)
    for split in ("train", "test"):
        lines = [
            f"{name} {begin:.2f} {end:.2f}##The {species} is {action}.\n"
            for where, name, species, spans in results
            for begin, end, action in spans
            if where == split
        ]
        write_text(root / "annotation" / f"{split}.txt", "".join(lines))
    rows = [f"{name},['{ANIMALS[species].group}']\n" for _, name, species, _ in results]
    write_text(root / "AR_metadata.csv", "video_id,list_animal_parent_class\n" + "".join(rows))
