"""Sets of pictures with questions: driving tasks and question sets, as messages and images.

    train.jsonl val.jsonl test.jsonl     one question a line: messages, images, group, meta (data.source: messages)
    images/SPLIT/00017.jpg               the pedestrian and the vehicle that are meant in a green and a blue box
    truth/objects.json                   image -> what is to be seen in it, for metrics of hallucination
    truth/pictures.jsonl                 a picture a line: its facts, and kind, box, visible share and place in depth,
                                         from far to near, of everything in it

Train, val and test never share a seed; the colours of the pedestrians in the test split are worn by nobody elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np

from cityscribe.files import InputError, write_bytes, write_text
from cityscribe.letters import ASK, listed
from cityscribe.progress import Progress
from cityscribe.records import image_block, message, text_block
from cityscribe.world.event import sample_event
from cityscribe.world.facts import Facts, appearance, facts_at, regulation
from cityscribe.world.fixtures import Fixture
from cityscribe.world.jobs import dump, write_whole
from cityscribe.world.pictures import sample_view
from cityscribe.world.render import box_of
from cityscribe.world.renderers import RENDERERS
from cityscribe.world.rigs import HEIGHT, WIDTH, Dashboard
from cityscribe.world.scene import AnimalState, Camera, PersonState, Prop, Scene, VehicleState
from cityscribe.world.silhouettes import Silhouette, silhouettes
from cityscribe.world.solids import Mover
from cityscribe.world.tasks import Task, driving_tasks, question_set

JPEG_QUALITY = 92
MARKS = {"person": (0, 200, 0), "vehicle": (0, 80, 255)}
"""RGB of the boxes around the pedestrian and the vehicle that are meant."""

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class SetSettings:
    """What is asked about how many pictures."""

    kind: str  # one of KINDS
    train: int = 400  # pictures
    val: int = 60
    test: int = 60
    seed: int = 0
    renderer: str = "raster"
    asked: int = 0  # questions about a picture, drawn by its seed; 0: all of them


@dataclass(frozen=True, slots=True)
class _Job:
    split: str
    number: int
    seed: int
    settings: SetSettings


def write_set(root: Path, settings: SetSettings, *, workers: int = 0, progress: Progress | None = None) -> None:
    """Write a set into a folder that must not exist yet; it appears whole or not at all. Equal settings, equal bytes.

    Raises InputError where the folder exists or the kind is not known.
    """
    if settings.kind not in KINDS:
        raise InputError(f"kind {settings.kind}: expected one of {', '.join(KINDS)}")
    jobs = list(_jobs(settings))
    write_whole(root, asdict(settings), jobs, _write_picture, _finish, workers=workers, progress=progress)


def _jobs(settings: SetSettings) -> Iterator[_Job]:
    number = 0
    for split in SPLITS:
        for _ in range(getattr(settings, split)):
            number += 1
            yield _Job(split, number, settings.seed * 1_000_003 + number, settings)


class _Truth(TypedDict):
    """What a picture shows."""

    image: str
    facts: object
    things: list[dict[str, object]]


class _Written(TypedDict):
    """What was written of a picture."""

    split: str
    rows: list[dict[str, object]]
    truth: _Truth
    objects: list[str]


def _write_picture(root: Path, job: _Job) -> _Written:
    """Write the picture of a job; returns its rows."""
    scene, camera, facts, tasks = KINDS[job.settings.kind](job)
    image = RENDERERS[job.settings.renderer](scene, camera, seed=job.seed)
    things = silhouettes(scene, camera)[1]
    for kind, colour in MARKS.items():
        for thing in things:
            box = _box(thing, camera) if thing.key == (kind, 0) else None
            if box is not None:
                x, y, w, h = (round(value) for value in box)
                cv2.rectangle(image, (x - 2, y - 2), (x + w + 2, y + h + 2), colour, 2)
    path = Path("images", job.split, f"{job.number:05d}.jpg")
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    coded = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    write_bytes(root / path, coded.tobytes())
    seen = [thing for thing in things if thing.solid.kind != "fixture" and thing.visible >= 0.3 and thing.pixels >= 60]
    rows = [_row(job, path.as_posix(), task) for task in _drawn(tasks, job)]
    truth: _Truth = {"image": path.as_posix(), "facts": facts, "things": [_thing(thing, camera) for thing in seen]}
    objects = sorted({_label(thing.solid.thing) for thing in seen})
    return {"split": job.split, "rows": rows, "truth": truth, "objects": objects}


def _drawn(tasks: Sequence[Task], job: _Job) -> list[Task]:
    """As many of the questions about a picture as are asked, in their order."""
    asked = job.settings.asked
    if not asked or asked >= len(tasks):
        return list(tasks)
    chosen = np.random.default_rng([job.seed, 15]).permutation(len(tasks))[:asked]
    return [tasks[n] for n in sorted(chosen)]


def _label(thing: Mover | Fixture) -> str:
    """What it is called: a kind of vehicle or prop, "person", "bicycle", a species."""
    if isinstance(thing, VehicleState):
        return thing.vehicle.kind
    if isinstance(thing, Prop):
        return thing.kind
    if isinstance(thing, AnimalState):
        return thing.species
    return "person" if isinstance(thing, PersonState) else "bicycle"


def _box(thing: Silhouette, camera: Camera) -> tuple[float, float, float, float] | None:
    return None if isinstance(thing.solid.thing, Fixture) else box_of(thing.solid.thing, camera)


def _thing(thing: Silhouette, camera: Camera) -> dict[str, object]:
    return {
        "kind": thing.solid.kind,
        "label": _label(thing.solid.thing),
        "box": _box(thing, camera),
        "visible": round(thing.visible, 3),
        "depth": thing.number,
    }


def _row(job: _Job, image: str, task: Task) -> dict[str, object]:
    text = task.question
    if task.options:
        text = f"{text}\n{listed(task.options)}\n{ASK}"
    messages = [message("user", image_block(), text_block(text)), message("assistant", text_block(task.answer))]
    meta: dict[str, object] = {
        "scenario": f"{job.split}-{job.number:05d}",
        "split": job.split,
        "kind": "choice" if task.options else "short",
        "dimension": task.name,
        "question": f"{task.kind} {task.name}",
    }
    if task.options:
        meta["options"] = list(task.options)
    return {"messages": messages, "images": [image], "group": image, "meta": meta}


def _finish(root: Path, results: list[_Written]) -> None:
    for split in SPLITS:
        rows = [row for result in results if result["split"] == split for row in result["rows"]]
        if rows:
            _write_lines(root / f"{split}.jsonl", rows)
    (root / "truth").mkdir(exist_ok=True)
    _write_lines(root / "truth" / "pictures.jsonl", [result["truth"] for result in results])
    dump(root / "truth" / "objects.json", {result["truth"]["image"]: result["objects"] for result in results})


def _write_lines(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


# What is asked


Made = tuple[Scene, Camera, Facts, list[Task]]


def _driving(job: _Job) -> Made:
    """A moment of an event as the driver sees it, and the driving tasks."""
    event = sample_event(job.seed, unseen=job.split == "test")
    moment = float(np.random.default_rng([job.seed, 9]).uniform(event.boundaries_s[0], event.end_s))
    scene, camera = event.scene_at(moment), Dashboard().at(event, moment)
    facts = {**facts_at(event, moment, [camera]), **regulation(scene, camera)}
    return scene, camera, facts, driving_tasks(facts)


def _driving_views(job: _Job) -> Made:
    """A street put together at random, seen from a vehicle, and the driving tasks: lights, signs and cones are there
    far more often than in events."""
    for trial in range(1000):
        scene, camera, facts = sample_view(
            job.seed + 7_000_003 * (trial + 1), WIDTH, HEIGHT, unseen=job.split == "test"
        )
        if camera.on_vehicle is not None:
            return scene, camera, facts, driving_tasks(facts)
    raise RuntimeError("no camera on a vehicle in 1000 views")


def _questions(job: _Job) -> Made:
    """A general picture, and questions of three kinds about it."""
    rng = np.random.default_rng([job.seed, 10])
    scene, camera, facts = sample_view(job.seed, WIDTH, HEIGHT, unseen=job.split == "test")
    others: dict[str, list[str]] = {}
    for person in scene.people[1:]:
        for name, value in appearance(person).items():
            others.setdefault(name, []).append(value)
        others.setdefault("motion", []).append(person.motion)
    others.setdefault("upper_colour", []).append(facts["lower_colour"])
    others.setdefault("lower_colour", []).append(facts["upper_colour"])
    for vehicle in scene.vehicles[1:]:
        others.setdefault("vehicle_colour", []).append(vehicle.vehicle.colour)
        others.setdefault("vehicle_kind", []).append(vehicle.vehicle.kind)
    unseen = ("vehicle_kind", "vehicle_colour") if camera.on_vehicle is not None else ()
    asked = {name: value for name, value in facts.items() if name not in unseen}
    return scene, camera, facts, question_set(asked, others, rng)


KINDS = {"driving": _driving, "driving-views": _driving_views, "questions": _questions}
