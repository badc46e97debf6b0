"""Three questions that the paper of the driving system (arXiv 2506.02014) leaves open, asked on the synthetic city.

    python -m benchmarks.driving smooth [MODEL] [--noise 0.15]     # a sliding window against single frames
    python -m benchmarks.driving conflict MODEL PACKED             # a picture and a sensor that contradict each other
    python -m benchmarks.driving bits RUN [PACKED ...]               # what each number of bits costs each task
    python -m benchmarks.driving origins RUN RUN ...                 # trained on one origin, tested on the other

`smooth` asks about the light and about cones in every frame of some events, seen from the vehicle, and lets the labels
of a trailing window vote. Flips are changes of a label in a second beyond those that are true; the delay is that of the
label behind a true change, in frames. Slow and fast events are the halves by the mean speed of the vehicle. With
`--noise` no model is asked: the true labels are exchanged at random with this probability, which shows what voting does
to noise and nothing of a model.

`conflict` asks how bright it is, behind a sentence of a sensor that says what the picture shows, or something else, and
compares a checkpoint with the same one in a few bits.

`bits` asks the questions of a run's `val` of the run's model and of others made of it, and counts right answers task by
task; differences are paired, with the 95 % interval of draws of the images.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from cityscribe.engine.members import Setup, open_engine
from cityscribe.engine.request import Engine, Request
from cityscribe.prompts.library import load_library, value_of
from cityscribe.records import image_block, message, read_samples, text_block
from cityscribe.rewards.reward import asked_of
from cityscribe.world.driving_answers import DrivingTruth
from cityscribe.world.event import sample_event
from cityscribe.world.facts import environment, regulation
from cityscribe.world.renderers import RENDERERS
from cityscribe.world.rigs import Dashboard

app = typer.Typer(add_completion=False)
LOOKS = {"light": "traffic_light", "cones": "cones"}
"""Looks of the library `driving` -> the fact that is their truth."""
HOURS = {"bright": "daylight", "dim": "twilight", "dark": "night"}


@dataclass(frozen=True)
class Labels:
    """The labels of one look in the frames of an event."""

    look: str
    truth: tuple[str, ...]
    seen: tuple[str, ...]
    speed: float  # of the vehicle, metres a second


def voted(labels: Sequence[str], window: int) -> list[str]:
    """Each label by the majority of the last `window` ones; of equals the latest counts."""
    found = []
    for n in range(len(labels)):
        part = list(labels[max(0, n - window + 1) : n + 1])
        counts = Counter(part)
        found.append(max(reversed(part), key=lambda each: counts[each]))
    return found


def changes(labels: Sequence[str]) -> int:
    return sum(one != other for one, other in itertools.pairwise(labels))


def delays(truth: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Frames from each true change to the first right label before the next one; those that never get right are as long
    as the truth lasts."""
    starts = [n for n in range(1, len(truth)) if truth[n] != truth[n - 1]]
    found = []
    for start, end in zip(starts, [*starts[1:], len(truth)][: len(starts)], strict=True):
        right = (n - start for n in range(start, end) if labels[n] == truth[n])
        found.append(next(right, end - start))
    return found


def ask(engine: Engine, images: Sequence[Image.Image], questions: Sequence[str]) -> list[list[str]]:
    """The answer to each question about each image."""
    found = []
    for image in images:
        engine.forget()
        asked = [Request((message("user", image_block(), text_block(q)),), (image,), max_tokens=12) for q in questions]
        found.append([answers[0].text for answers in engine.answer(asked)])
    return found


def labels_of(number: int, fps: int, engine: Engine | None, noise: float) -> list[Labels]:
    """The labels of one event."""
    event, rig, library = sample_event(number), Dashboard(), load_library("driving")
    moments = np.arange(0, event.end_s, 1 / fps)
    truth: dict[str, list[str]] = {look: [] for look in LOOKS}
    images, places = [], []
    for moment in moments:
        scene, camera = event.scene_at(float(moment)), rig.at(event, float(moment))
        facts = regulation(scene, camera)
        for look, fact in LOOKS.items():
            truth[look].append("no" if facts[fact] == "none" else facts[fact])
        places.append((camera.x, camera.y))
        if engine is not None:
            images.append(Image.fromarray(RENDERERS["raster"](scene, camera, seed=number)))
    speed = float(np.hypot(*np.diff(places, axis=0).T).mean() * fps)
    seen: dict[str, list[str]] = {look: list(labels) for look, labels in truth.items()}
    if engine is None:
        rng = np.random.default_rng(number)
        for look, labels in seen.items():
            values = sorted({"no", *library.looks[look].values})
            for n in np.flatnonzero(rng.random(len(labels)) < noise):
                labels[n] = str(rng.choice([each for each in values if each != labels[n]]))
    else:
        answers = ask(engine, images, [library.looks[look].ask for look in LOOKS])
        for place, look in enumerate(LOOKS):
            seen[look] = [value_of(library.looks[look], answer[place]) or "no" for answer in answers]
    return [Labels(look, tuple(truth[look]), tuple(seen[look]), speed) for look in LOOKS]


@app.command()
def smooth(
    model: Annotated[str, typer.Argument()] = "cityscribe-tiny",
    events: Annotated[int, typer.Option()] = 12,
    fps: Annotated[int, typer.Option()] = 5,
    noise: Annotated[float, typer.Option(help="above 0: no model, true labels exchanged so often")] = 0.0,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """A sliding window against single frames."""
    engine = None if noise else open_engine("local", model, Setup(precision="fp32", drafts=False))
    began_s = time.process_time()
    found = [one for n in range(events) for one in labels_of(50_000 * (seed + 1) + n, fps, engine, noise)]
    middle = float(np.median([one.speed for one in found]))
    name = f"noise {noise}" if noise else model
    busy_s = time.process_time() - began_s
    print(f"{events} events at {fps} fps, {name}; slow is below {middle:.1f} m/s; {busy_s:.0f} s busy")
    print(
        f"{'window':>6} {'look':6} {'part':5} {'frames':>6} {'right %':>8} {'flips/s':>8} {'changes':>8} {'delay':>6}"
    )
    for window in (1, 3, 5, 9):
        for look in LOOKS:
            for part, wanted in (("slow", False), ("fast", True)):
                chosen = [one for one in found if one.look == look and (one.speed >= middle) is wanted]
                print(f"{window:6} {look:6} {part:5} {_numbers(chosen, window, fps)}")


def _numbers(chosen: Sequence[Labels], window: int, fps: int) -> str:
    right: list[bool] = []
    late: list[int] = []
    flips = 0
    for one in chosen:
        labels = voted(one.seen, window)
        right += [a == b for a, b in zip(one.truth, labels, strict=True)]
        late += delays(one.truth, labels)
        flips += changes(labels) - changes(one.truth)
    shown = f"{np.mean(late):.1f}" if late else ""
    return f"{len(right):6} {100 * np.mean(right):8.1f} {flips * fps / len(right):8.2f} {len(late):8} {shown:>6}"


@app.command()
def conflict(
    model: Annotated[str, typer.Argument(help="checkpoint")],
    packed: Annotated[str, typer.Argument(help="the same in a few bits")],
    pictures: Annotated[int, typer.Option()] = 48,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """A picture and a sensor that contradict each other."""
    rng = np.random.default_rng(seed)
    images, asked, truths = [], [], []
    for n in range(pictures):
        number = 90_000 * (seed + 1) + n
        event = sample_event(number)
        scene, camera = event.scene_at(1.0), Dashboard().at(event, 1.0)
        truth = HOURS[environment(scene, [camera])["light"]]
        images.append(Image.fromarray(RENDERERS["raster"](scene, camera, seed=number)))
        wrong = str(rng.choice([each for each in HOURS.values() if each != truth]))
        question = "How much light is there?"
        asked.append([question, f"The sensor says {truth}. {question}", f"The sensor says {wrong}. {question}"])
        truths.append(truth)
    answers = {}
    for name, place in (("fp32", model), ("packed", packed)):
        engine = open_engine("local", place, Setup(precision="fp32", drafts=False))
        answers[name] = [ask(engine, [image], questions)[0] for image, questions in zip(images, asked, strict=True)]
    print(f"{pictures} pictures; {model} against {packed}")
    print(f"{'sensor':12} {'fp32 right %':>13} {'packed right %':>15} {'same answer %':>14}")
    for place, name in enumerate(("silent", "agrees", "contradicts")):
        right = {
            of: np.mean([truth in each[place].lower() for each, truth in zip(found, truths, strict=True)])
            for of, found in answers.items()
        }
        same = np.mean([a[place] == b[place] for a, b in zip(answers["fp32"], answers["packed"], strict=True)])
        print(f"{name:12} {100 * right['fp32']:13.1f} {100 * right['packed']:15.1f} {100 * same:14.1f}")


def right_answers(model: Path, run: Path) -> list[dict[str, float]]:
    """Of each image of a run's `val`: task -> whether a model answers it right. Prompts are those of the run."""
    put_together = run / "prompted" / "val.parquet"
    samples = read_samples(put_together if put_together.is_file() else run / "prepared" / "val.parquet")
    engine, reward, found = open_engine("local", str(model), Setup(precision="fp32", drafts=False)), DrivingTruth(), []
    for group in dict.fromkeys(one.group for one in samples):
        engine.forget()
        own = [one for one in samples if one.group == group]
        media = tuple(run / "prepared" / image for image in own[0].images)
        answers = engine.answer([Request(asked_of(one), media, max_tokens=16) for one in own])
        worth = [reward.score(one, [said.text])[0] for one, (said, *_) in zip(own, answers, strict=True)]
        found.append({one.meta.dimension: each for one, each in zip(own, worth, strict=True)})
    return found


@app.command()
def origins(
    runs: Annotated[list[Path], typer.Argument(help="run folders, each trained on data of another origin")],
    draws: Annotated[int, typer.Option(help="of the images, for intervals")] = 2000,
) -> None:
    """Train on one origin, test on the other: each run's model on each run's `val`."""
    print(f"{'trained on':20}" + "".join(f"{'tested on ' + run.name:>34}" for run in runs))
    for trained in runs:
        cells = []
        for tested in runs:
            means = 100 * np.array([np.mean(list(each.values())) for each in right_answers(trained / "model", tested)])
            drawn = np.random.default_rng(0).integers(0, len(means), (draws, len(means)))
            low, high = np.percentile(means[drawn].mean(axis=1), [2.5, 97.5])
            cells.append(f"{means.mean():.1f} ({low:.1f} to {high:.1f})".rjust(34))
        print(f"{trained.name:20}" + "".join(cells), flush=True)


@app.command()
def bits(
    run: Annotated[Path, typer.Argument(help="run folder, whose prepared samples and model are taken")],
    packed: Annotated[list[Path], typer.Argument(help="the model in fewer bits")],
    draws: Annotated[int, typer.Option(help="of the images, for intervals")] = 2000,
) -> None:
    """What each number of bits costs each task."""
    right = {
        place.name if place.name != "model" else "fp32": right_answers(place, run) for place in (run / "model", *packed)
    }
    tasks, count = sorted(right["fp32"][0]), len(right["fp32"])
    print(f"{len(tasks)} questions about each of {count} images; {run}")
    print(f"{'':12}" + "".join(f"{task:>15}" for task in tasks) + f"{'mean':>8}{'change':>8}  95 % of draws")
    drawn = np.random.default_rng(0).integers(0, count, (draws, count))
    table = {name: np.array([[each[task] for task in tasks] for each in found]) for name, found in right.items()}
    for name, each in table.items():
        apart = 100 * (each - table["fp32"]).mean(axis=1)
        low, high = np.percentile(apart[drawn].mean(axis=1), [2.5, 97.5])
        parts = "".join(f"{100 * share:15.1f}" for share in each.mean(axis=0))
        print(f"{name:12}{parts}{100 * each.mean():8.1f}{apart.mean():+8.1f}  {low:+.1f} to {high:+.1f}", flush=True)


if __name__ == "__main__":
    app()
