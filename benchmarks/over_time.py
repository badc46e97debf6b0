"""What answering over time is worth: one model's likelihoods, chosen question by question and together.

    python -m benchmarks.over_time [--model runs/NAME/model | --margin 1.0] [--train 200] [--events 24] [--seed 0]

Events of the synthetic city are asked about in each of their five phases, questions with options, on the picture of the
vehicle's camera in which the phase begins. The model gives the likelihood of each letter once; then the answers are
chosen by `independent`, and by `viterbi` with one part after the other. Priors, relations and transitions are counted
on other events. With `--margin` no model is asked: likelihoods are normal noise, and the right option has so much
more; that shows what the city's events say of each other, and nothing of a model. Differences are to `independent`,
with the interval of 95 % of draws of the events.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from cityscribe.evaluate import resampling
from cityscribe.evaluate.resampling import Paired
from cityscribe.predict.conversations import predict_conversations
from cityscribe.predict.over_time.rows import count_trained, decode_answers, right_option
from cityscribe.predict.over_time.viterbi import Viterbi
from cityscribe.project import settings_without_project
from cityscribe.records import Sample, image_block, message, text_block, write_samples
from cityscribe.sources.choices import choice_turns
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.traffic.scenario import PHASES, phase_opening
from cityscribe.world.event import sample_event
from cityscribe.world.facts import facts_at
from cityscribe.world.render import box_of
from cityscribe.world.renderers import RENDERERS
from cityscribe.world.rigs import Dashboard
from cityscribe.world.sets import MARKS
from cityscribe.world.tasks import question_set


def samples_of(number: int, root: Path | None) -> list[Sample]:
    """The questions about an event, phase by phase; with a root the pictures are drawn into it."""
    event, rig = sample_event(number), Dashboard()
    rng = np.random.default_rng(number)
    samples = []
    for phase, begin in enumerate(event.boundaries_s[:-1]):
        name = f"{number}-{phase}.png"
        camera, scene = rig.at(event, begin), event.scene_at(begin)
        if root is not None:
            picture = RENDERERS["raster"](scene, camera, seed=number).copy()
            for kind, thing in (("person", scene.people[0]), ("vehicle", scene.vehicles[0])):
                box = box_of(thing, camera)
                if box is not None:
                    x, y, w, h = (round(value) for value in box)
                    cv2.rectangle(picture, (x - 2, y - 2), (x + w + 2, y + h + 2), MARKS[kind], 2)
            cv2.imwrite(str(root / name), picture[:, :, ::-1])
        for task in question_set(facts_at(event, begin, [camera]), {}, rng):
            if task.kind != "choice":
                continue
            turns = choice_turns(phase_opening(phase) + task.question, task.options, task.answer)
            asked, answer = (message(role, *blocks) for role, blocks in turns)
            asked = message("user", image_block(), text_block(asked["content"][0]["text"]))
            meta = TrafficMeta(
                scenario=f"event{number}",
                phase=phase,
                kind="choice",
                question=f"{number}/{PHASES[phase]}/{task.name}",
                options=task.options,
            )
            samples.append(Sample((asked, answer), (name,), name, meta))
    return samples


def noisy(asked: Sequence[Sample], margin: float, seed: int) -> list[list[float]]:
    """Log-likelihoods of the options: noise, and a margin for the right one."""
    rng = np.random.default_rng(seed)
    return [
        (rng.normal(size=len(sample.meta.options)) + margin * np.eye(len(sample.meta.options))[right_option(sample)])
        .round(4)
        .tolist()
        for sample in asked
    ]


def likely(asked: Sequence[Sample], model: str, work: Path) -> list[list[float]]:
    """The log-likelihoods that a model gives."""
    settings = settings_without_project(["predict.choices=likelihood", "predict.precision=fp32", f"runs={work}"])
    predict_conversations(asked, work, model, settings, work / "alone.jsonl")
    return [json.loads(line)["scores"] for line in (work / "alone.jsonl").read_text().splitlines()]


def measure(model: str, margin: float | None, train: int, events: int, seed: int, work: Path) -> None:
    first = 1_000_000 * (seed + 1)
    trained = [sample for n in range(train) for sample in samples_of(first + n, None)]
    write_samples(work / "train.parquet", trained)
    root = work if margin is None else None
    asked = [sample for n in range(events) for sample in samples_of(first + train + n, root)]
    began_s = time.monotonic()
    scores = likely(asked, model, work) if margin is None else noisy(asked, margin, seed)
    model_s = time.monotonic() - began_s
    model = model if margin is None else f"noise, margin {margin}"
    right = [right_option(sample) for sample in asked]
    began_s = time.monotonic()
    counts = count_trained(work / "train.parquet")
    print(f"{len(asked)} questions of {events} events, counted on {len(trained)} of {train}; {model}, {model_s:.0f} s")
    print(f"counting {time.monotonic() - began_s:.1f} s; smoothing {counts.smoothing}")
    groups, columns = [sample.meta.scenario for sample in asked], [""] * len(asked)
    alone = [float(found.index(max(found)) == r) for found, r in zip(scores, right, strict=True)]
    chance = float(np.mean([1 / len(sample.meta.options) for sample in asked]))
    print(f"chance {100 * chance:.2f} %; independent {100 * np.mean(alone):.2f} %")
    for name, decoder in ARMS.items():
        began_s = time.monotonic()
        options = decode_answers(asked, scores, decoder, work / "train.parquet")
        took_s = time.monotonic() - began_s
        found = [float(option == r) for option, r in zip(options, right, strict=True)]
        one, base = (resampling.stratum(groups, columns, values) for values in (found, alone))
        interval = resampling.paired_interval([Paired(one.sums, base.sums, one.counts)], seed)
        bounds = "" if interval is None else f"{100 * interval.low:+.2f} to {100 * interval.high:+.2f}"
        gain = 100 * (np.mean(found) - np.mean(alone))
        print(f"{name:24} {100 * np.mean(found):6.2f} %  {gain:+6.2f}  {bounds}  ({took_s:.1f} s with counting)")


ARMS = {
    "prior": Viterbi(relations=0, transitions=0),
    "+ relations": Viterbi(relations=1, transitions=0),
    "+ transitions": Viterbi(relations=1),
    "prior and transitions": Viterbi(),
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="cityscribe-tiny")
    parser.add_argument("--margin", type=float, help="of the right option, in the place of a model")
    parser.add_argument("--train", type=int, default=200, help="events that are counted")
    parser.add_argument("--events", type=int, default=24, help="events that are asked about")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="folder to keep")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = given.work or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        measure(given.model, given.margin, given.train, given.events, given.seed, place)
