"""What answering over time is worth: one model's likelihoods, chosen question by question and together.

    python -m benchmarks.over_time [--model runs/NAME/model | --margin 1.0] [--train 200] [--events 24] [--seeds 0]
    python -m benchmarks.over_time --tune 400 --seeds 0 1 2 --work runs/over-time      # a stopped one goes on

Events of the synthetic city are asked about in each of their five phases, questions with options, on the picture of
the vehicle's camera in which the phase begins. A question has the same options in all phases: which are offered says
nothing of which is right. The model gives the likelihood of each option once; then the answers are chosen by
`independent`, and by `viterbi` with one part after the other. Priors, relations and transitions are counted on other
events. `majority` is the commonest training answer among the options.

With `--margin` no model is asked: likelihoods are normal noise, and the right option has so much more; that shows what
the city's events say of each other, and nothing of a model. With `--tune` the model is tuned before, for so many steps
on the pictures and questions of the events that are counted, and says the words of an option instead of its letter,
which is more than so small a model learns; each seed tunes, counts and asks with events of its own. Half of the
questions list their options there, and the others do not: answers are chosen without the list, and what the order of a
list is worth is measured beside. Intervals hold 95 % of the draws of the events of all seeds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from math import fsum
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np

from cityscribe.engine.members import Setup, open_engine
from cityscribe.engine.request import Request
from cityscribe.evaluate import resampling
from cityscribe.evaluate.resampling import Paired
from cityscribe.files import read_json, write_json
from cityscribe.letters import LETTERS
from cityscribe.pipeline import run
from cityscribe.predict.conversations import orders_of
from cityscribe.predict.over_time.decoder import AnswerDecoder, Independent
from cityscribe.predict.over_time.rows import asked as as_question
from cityscribe.predict.over_time.rows import count_trained, decode_answers, right_option
from cityscribe.predict.over_time.viterbi import Viterbi
from cityscribe.project import resolve
from cityscribe.records import (
    Sample,
    SampleMessage,
    image_block,
    message,
    read_samples,
    text_block,
    text_of,
    write_samples,
)
from cityscribe.sources.choices import choice_turns
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.traffic.scenario import PHASES, phase_opening
from cityscribe.world.event import sample_event
from cityscribe.world.facts import facts_at
from cityscribe.world.render import box_of
from cityscribe.world.renderers import RENDERERS
from cityscribe.world.rigs import Dashboard
from cityscribe.world.sets import MARKS
from cityscribe.world.tasks import Task, question_set

Scores = list[list[float]]


def samples_of(number: int, root: Path | None) -> list[Sample]:
    """The questions about an event, phase by phase; with a root the pictures are drawn into it."""
    event, rig = sample_event(number), Dashboard()
    rng = np.random.default_rng(number)
    asked: list[tuple[int, Task]] = []
    for phase, begin in enumerate(event.boundaries_s[:-1]):
        camera, scene = rig.at(event, begin), event.scene_at(begin)
        if root is not None and not (root / picture_name(number, phase)).is_file():
            picture = RENDERERS["raster"](scene, camera, seed=number).copy()
            for kind, thing in (("person", scene.people[0]), ("vehicle", scene.vehicles[0])):
                box = box_of(thing, camera)
                if box is not None:
                    x, y, w, h = (round(value) for value in box)
                    cv2.rectangle(picture, (x - 2, y - 2), (x + w + 2, y + h + 2), MARKS[kind], 2)
            cv2.imwrite(str(root / picture_name(number, phase)), picture[:, :, ::-1])
        found = question_set(facts_at(event, begin, [camera]), {}, rng)
        asked += [(phase, task) for task in found if task.kind == "choice"]
    options = same_options([task for _, task in asked], rng)
    return [_sample(number, phase, task, options[task.name]) for phase, task in asked]


def picture_name(number: int, phase: int) -> str:
    return f"{number}-{phase}.png"


def same_options(tasks: Sequence[Task], rng: np.random.Generator) -> dict[str, tuple[str, ...]]:
    """Options of each question for all phases: the right ones of all phases, and others until there are as many as
    one phase offers."""
    found = {}
    for name in dict.fromkeys(task.name for task in tasks):
        alike = [task for task in tasks if task.name == name]
        right = [task.options[LETTERS.index(task.answer)] for task in alike]
        others = [option for task in alike for option in task.options]
        wanted = max(len(alike[0].options), len(set(right)))
        options = list(dict.fromkeys([*right, *others]))[:wanted]
        found[name] = tuple(options[place] for place in rng.permutation(len(options)))
    return found


def _sample(number: int, phase: int, task: Task, options: tuple[str, ...]) -> Sample:
    letter = LETTERS[options.index(task.options[LETTERS.index(task.answer)])]
    turns = choice_turns(phase_opening(phase) + task.question, options, letter)
    asked, answer = (message(role, *blocks) for role, blocks in turns)
    asked = message("user", image_block(), text_block(asked["content"][0]["text"]))
    meta = TrafficMeta(
        scenario=f"event{number}",
        phase=phase,
        kind="choice",
        question=f"{number}/{PHASES[phase]}/{task.name}",
        options=options,
    )
    name = picture_name(number, phase)
    return Sample((asked, answer), (name,), name, meta)


def noisy(asked: Sequence[Sample], margin: float, seed: int) -> list[list[float]]:
    """Log-likelihoods of the options: noise, and a margin for the right one."""
    rng = np.random.default_rng(seed)
    return [
        (rng.normal(size=len(sample.meta.options)) + margin * np.eye(len(sample.meta.options))[right_option(sample)])
        .round(4)
        .tolist()
        for sample in asked
    ]


def likely(asked: Sequence[Sample], model: str, root: Path, say: Callable[[Sample], Answering]) -> list[list[float]]:
    """The log-likelihoods that a model gives the answers which `say` tells of each sample."""
    engine = open_engine("local", model, Setup(precision="fp32"))
    found: list[list[float]] = []
    for first in range(0, len(asked), BATCH):
        part = [say(sample) for sample in asked[first : first + BATCH]]
        requests = [
            Request(one.messages, (root / sample.images[0],))
            for one, sample in zip(part, asked[first : first + BATCH], strict=True)
        ]
        scores = engine.score(requests, [one.answers for one in part], ended=True)
        found += [[round(each.sum, 4) for each in one] for one in scores]
    return found


@dataclass(frozen=True, slots=True)
class Answering:
    """How a question is put, and what could be said to it, an answer an option."""

    messages: tuple[SampleMessage, ...]
    answers: Sequence[str]


def by_letters(sample: Sample) -> Answering:
    return Answering(sample.messages[:1], LETTERS[: len(sample.meta.options)])


def by_words(sample: Sample) -> Answering:
    return Answering(in_words(sample, listed=False).messages[:1], sample.meta.options)


def by_listed_words(sample: Sample) -> Answering:
    return Answering(in_words(sample, listed=True).messages[:1], sample.meta.options)


def in_words(sample: Sample, *, listed: bool) -> Sample:
    """The question that wants the words of an option and not its letter, with its list of options or without."""
    asked, _ = sample.messages
    options = sample.meta.options
    text = text_of(asked) if listed else text_of(asked).partition(f"\n{LETTERS[0]}. ")[0]
    right = right_option(sample)
    if right is None:
        raise AssertionError("a question without a right option")
    turns = message("user", image_block(), text_block(text)), message("assistant", text_block(options[right]))
    return replace(sample, messages=turns)


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """Log-likelihoods of the options of each question."""

    plain: Scores
    listed: Scores  # as the options are listed
    turned: Scores  # the mean over all rotations of the list


def likelihoods(asked: Sequence[Sample], model: str, root: Path, *, words: bool) -> Likelihoods:
    turned = [orders_of(sample, "all") for sample in asked]
    say = by_listed_words if words else by_letters
    scores = iter(likely([one for orders in turned for one in orders], model, root, say))
    listed, mean = [], []
    for sample, orders in zip(asked, turned, strict=True):
        by_option = [dict(zip(one.meta.options, next(scores), strict=True)) for one in orders]
        listed.append([by_option[0][option] for option in sample.meta.options])
        mean.append([fsum(each[option] for each in by_option) / len(orders) for option in sample.meta.options])
    return Likelihoods(likely(asked, model, root, by_words) if words else listed, listed, mean)


def tuned(model: str, samples: Sequence[Sample], root: Path, steps: int, seed: int) -> str:
    """A model after so many steps on samples with pictures in `root`; what is there already is taken."""
    listed = [crc32(sample.meta.question.encode()) % 2 == 0 for sample in samples]
    asked = [in_words(sample, listed=each) for sample, each in zip(samples, listed, strict=True)]
    rows = [{"messages": sample.messages, "images": list(sample.images)} for sample in asked]
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
    """What is right by each arm, for one seed. What an earlier call left in `work` is taken."""
    first, root = 1_000_000 * (seed + 1), work / "pictures"
    root.mkdir(parents=True, exist_ok=True)
    trained = kept_samples(work / "train.parquet", range(first, first + train), root if tune else None)
    asked = kept_samples(
        work / "asked.parquet", range(first + train, first + train + events), root if margin is None else None
    )
    began_s = time.process_time()
    if tune:
        model = tuned(model, trained, root, tune, seed)
    tune_s, began_s = time.process_time() - began_s, time.process_time()
    kept = work / "likelihoods.json"
    if margin is not None:
        found = Likelihoods(*[noisy(asked, margin, seed)] * 3)
    elif kept.is_file():
        found = Likelihoods(**read_json(kept))
    else:
        found = likelihoods(asked, model, root, words=bool(tune))
        write_json(kept, asdict(found))
    how = f"noise, margin {margin}" if margin is not None else f"{model}, {tune} steps in {tune_s:.0f} s"
    counts = count_trained(work / "train.parquet")
    print(f"seed {seed}: {len(asked)} questions of {events} events, counted on {len(trained)} of {train}; {how}")
    print(f"asking {time.process_time() - began_s:.0f} s; smoothing {counts.smoothing}", flush=True)
    right = [right_option(sample) for sample in asked]
    usual = [counts.usual(as_question(sample, ())) for sample in asked]
    chosen: dict[str, list[int | None]] = {"majority": [int(shares.argmax()) for shares in usual]}
    for name, arm in ARMS.items():
        if margin is None or arm.of == "plain":
            chosen[name] = decode_answers(asked, getattr(found, arm.of), arm.decoder, work / "train.parquet")
    outcome = Outcome(
        [f"{seed}/{sample.meta.scenario}" for sample in asked],
        {name: [float(o == r) for o, r in zip(options, right, strict=True)] for name, options in chosen.items()},
        float(np.mean([1 / len(sample.meta.options) for sample in asked])),
    )
    print("; ".join(f"{name} {100 * np.mean(each):.2f}" for name, each in outcome.right.items()), flush=True)
    return outcome


def kept_samples(path: Path, events: Sequence[int], root: Path | None) -> list[Sample]:
    if not path.is_file():
        write_samples(path, [sample for number in events for sample in samples_of(number, root)])
    return read_samples(path)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one seed: the event of each question, whether each arm was right, and the share right by chance."""

    events: list[str]
    right: dict[str, list[float]]
    chance: float


def table(outcomes: Sequence[Outcome], seeds: Sequence[int]) -> None:
    """One line an arm: the share right, the difference to another arm, its interval, and what it is by seed."""
    events = [event for outcome in outcomes for event in outcome.events]
    columns = [""] * len(events)
    print(f"chance {100 * np.mean([outcome.chance for outcome in outcomes]):.2f} %; {len(events)} questions\n")
    print("| answers | right | against | difference | 95 % of draws | by seed |\n|---|---:|---|---:|---:|---:|")
    for name in outcomes[0].right:
        found = [value for outcome in outcomes for value in outcome.right[name]]
        other = ARMS[name].against if name in ARMS else "independent"
        line = f"| {name} | {100 * np.mean(found):.2f} % | {other} |"
        if other:
            base = [value for outcome in outcomes for value in outcome.right[other]]
            one, two = (resampling.stratum(events, columns, values) for values in (found, base))
            interval = resampling.paired_interval([Paired(one.sums, two.sums, one.counts)], seeds[0])
            bounds = "" if interval is None else f"{100 * interval.low:+.2f} to {100 * interval.high:+.2f}"
            by_seed = [100 * (np.mean(o.right[name]) - np.mean(o.right[other])) for o in outcomes]
            shown = ", ".join(f"{each:+.1f}" for each in by_seed)
            line += f" {100 * (np.mean(found) - np.mean(base)):+.2f} | {bounds} | {shown} |"
        else:
            line += " | | |"
        print(line)


LASTING = 0.01
"""A question whose training answers change less often from phase to phase is about the whole event."""

BATCH = 64
"""Questions that are scored together."""


@dataclass(frozen=True, slots=True)
class Arm:
    """How answers are chosen, of which likelihoods, and the arm that it is compared with."""

    decoder: AnswerDecoder
    of: str = "plain"  # a field of Likelihoods
    against: str = "independent"


ARMS = {
    "independent": Arm(Independent(), against=""),
    "prior": Arm(Viterbi(relations=0, transitions=0)),
    "prior, relations": Arm(Viterbi(relations=1, transitions=0)),
    "prior, relations, transitions": Arm(Viterbi(relations=1)),
    "prior, transitions": Arm(Viterbi()),
    "prior, shared facts": Arm(Viterbi(transitions=0, lasting=LASTING)),
    "prior, transitions, shared facts": Arm(Viterbi(lasting=LASTING)),
    "options listed": Arm(Independent(), "listed"),
    "options listed in all orders": Arm(Independent(), "turned", "options listed"),
    "in all orders, prior, transitions, shared facts": Arm(Viterbi(lasting=LASTING), "turned", "options listed"),
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
