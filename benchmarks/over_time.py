"""What answering over time is worth: one model's likelihoods, chosen question by question and together.

    python -m benchmarks.over_time [--model runs/NAME/model | --margin 1.0] [--train 200] [--events 24] [--seeds 0]
    python -m benchmarks.over_time --tune 400 --seeds 0 1 2

Events of the synthetic city are asked about in each of their five phases, questions with options, on the picture of the
vehicle's camera in which the phase begins. The model gives the likelihood of each letter once; then the answers are
chosen by `independent`, and by `viterbi` with one part after the other. Priors, relations and transitions are counted
on other events. With `--margin` no model is asked: likelihoods are normal noise, and the right option has so much
more; that shows what the city's events say of each other, and nothing of a model. With `--tune` the model is tuned
before, for so many steps on the pictures and questions of the events that are counted, and says the words of an option
instead of its letter, which is more than so small a model learns; each seed tunes, counts and asks with events of its
own. Differences are to `independent`, with the interval of 95 % of draws of the events of all seeds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from cityscribe.engine.members import Setup, open_engine
from cityscribe.engine.request import Request
from cityscribe.evaluate import resampling
from cityscribe.evaluate.resampling import Paired
from cityscribe.letters import listed
from cityscribe.pipeline import run
from cityscribe.predict.conversations import predict_conversations
from cityscribe.predict.over_time.rows import count_trained, decode_answers, right_option
from cityscribe.predict.over_time.viterbi import Viterbi
from cityscribe.project import resolve, settings_without_project
from cityscribe.records import Sample, image_block, message, text_block, text_of, write_samples
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


def in_words(sample: Sample) -> Sample:
    """The question without its options, and the words of the right one as the answer."""
    asked, _ = sample.messages
    options = sample.meta.options
    text = text_of(asked).partition("\n" + listed(options))[0]
    right = right_option(sample)
    if right is None:
        raise AssertionError("a question without a right option")
    turns = message("user", image_block(), text_block(text)), message("assistant", text_block(options[right]))
    return replace(sample, messages=turns)


def likely_words(asked: Sequence[Sample], model: str, root: Path) -> list[list[float]]:
    """The log-likelihoods that a model gives the words of each option."""
    engine = open_engine("local", model, Setup(precision="fp32"))
    requests = [Request(in_words(s).messages[:1], (root / s.images[0],)) for s in asked]
    found = engine.score(requests, [sample.meta.options for sample in asked], ended=True)
    return [[round(score.sum, 4) for score in scores] for scores in found]


def tuned(model: str, samples: Sequence[Sample], root: Path, steps: int, seed: int) -> str:
    """A model after so many steps on samples with pictures in `root`; what is there already is taken."""
    rows = [{"messages": in_words(sample).messages, "images": list(sample.images)} for sample in samples]
    (root / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = resolve(
        {
            "name": "tuned",
            "runs": str(root.parent),
            "seed": seed,
            "data": {"source": "messages", "path": str(root), "val_share": 0.0},
            "model": {"base": model, "block_expansion": {"blocks": 4}},
            "train": {"max_steps": steps, "epochs": 100, "lr": 1.1e-3, "batch_groups": 1, "precision": "fp32"},
        }
    )
    run(settings, lambda _: nullcontext(lambda *_, **__: None), print, ("prepare", "train"))
    return str(settings.run_dir / "model")


def measure(model: str, margin: float | None, tune: int, train: int, events: int, seed: int, work: Path) -> Outcome:
    """What is right by each arm, for one seed."""
    first, root = 1_000_000 * (seed + 1), work / "pictures"
    root.mkdir(parents=True, exist_ok=True)
    trained = [sample for n in range(train) for sample in samples_of(first + n, root if tune else None)]
    write_samples(work / "train.parquet", trained)
    asked = [s for n in range(events) for s in samples_of(first + train + n, root if margin is None else None)]
    began_s = time.monotonic()
    if tune:
        model = tuned(model, trained, root, tune, seed)
    tune_s, began_s = time.monotonic() - began_s, time.monotonic()
    if tune:
        scores = likely_words(asked, model, root)
    else:
        scores = likely(asked, model, root) if margin is None else noisy(asked, margin, seed)
    model_s = time.monotonic() - began_s
    named = (
        f"{model} after {tune} steps, {tune_s:.0f} s"
        if tune
        else model
        if margin is None
        else f"noise, margin {margin}"
    )
    counts = count_trained(work / "train.parquet")
    print(f"seed {seed}: {len(asked)} questions of {events} events, counted on {len(trained)} of {train}; {named}")
    print(f"asking {model_s:.0f} s; smoothing {counts.smoothing}", flush=True)
    right = [right_option(sample) for sample in asked]
    alone = [float(found.index(max(found)) == r) for found, r in zip(scores, right, strict=True)]
    print(f"independent {100 * np.mean(alone):.2f} %", flush=True)
    chosen = {"independent": [found.index(max(found)) for found in scores]}
    for name, decoder in ARMS.items():
        chosen[name] = decode_answers(asked, scores, decoder, work / "train.parquet")
    return Outcome(
        [f"{seed}/{sample.meta.scenario}" for sample in asked],
        {name: [float(o == r) for o, r in zip(options, right, strict=True)] for name, options in chosen.items()},
        float(np.mean([1 / len(sample.meta.options) for sample in asked])),
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one seed: the event of each question, whether each arm was right, and the share right by chance."""

    events: list[str]
    right: dict[str, list[float]]
    chance: float


def table(outcomes: Sequence[Outcome], seeds: Sequence[int]) -> None:
    """One line an arm: the share right, the difference to `independent`, its interval, and what it is by seed."""
    events = [event for outcome in outcomes for event in outcome.events]
    columns = [""] * len(events)
    alone = [value for outcome in outcomes for value in outcome.right["independent"]]
    print(f"chance {100 * np.mean([outcome.chance for outcome in outcomes]):.2f} %")
    for name in outcomes[0].right:
        found = [value for outcome in outcomes for value in outcome.right[name]]
        if name == "independent":
            print(f"{name:24} {100 * np.mean(found):6.2f} %")
            continue
        one, base = (resampling.stratum(events, columns, values) for values in (found, alone))
        interval = resampling.paired_interval([Paired(one.sums, base.sums, one.counts)], seeds[0])
        bounds = "" if interval is None else f"{100 * interval.low:+.2f} to {100 * interval.high:+.2f}"
        by_seed = [100 * (np.mean(o.right[name]) - np.mean(o.right["independent"])) for o in outcomes]
        gain = 100 * (np.mean(found) - np.mean(alone))
        shown = ", ".join(f"{one:+.1f}" for one in by_seed)
        print(f"{name:24} {100 * np.mean(found):6.2f} %  {gain:+6.2f}  {bounds}  by seed {shown}")


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
    parser.add_argument("--tune", type=int, default=0, help="steps that the model is tuned before; 0: none")
    parser.add_argument("--train", type=int, default=200, help="events that are counted, and tuned on")
    parser.add_argument("--events", type=int, default=24, help="events that are asked about")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--work", type=Path, help="folder to keep")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = []
        for number in given.seeds:
            place = (given.work or Path(folder)) / f"seed-{number}"
            place.mkdir(parents=True, exist_ok=True)
            measured.append(measure(given.model, given.margin, given.tune, given.train, given.events, number, place))
        table(measured, given.seeds)
