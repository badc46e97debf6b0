"""What the steps of a ladder are worth: the score of each task and their mean with intervals, and the differences.

Outcomes of the seeds are averaged question by question; images are what is drawn for an interval, since questions about
one image are alike.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cityscribe.evaluate import resampling
from cityscribe.evaluate.resampling import Interval, Paired
from cityscribe.evaluate.text_tables import aligned, markdown, written_p
from cityscribe.files import InputError, spreadsheet_cell
from cityscribe.ladder.arms import LadderArm
from cityscribe.records import Sample, read_samples
from cityscribe.rewards.reward import Reward, reference_answer, reward_parts

COMMONEST = "the commonest answer"
"""A line of each table that looks at nothing."""

OutcomeKey = tuple[str, str, str]
"""Scenario, task, and number among the questions of that task about the scenario."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What answering takes. Times are of the processor, so that others on the machine count little."""

    answers_per_s: float
    model_mb: float  # weights in memory of all models that take part, 1e6 bytes
    file_mb: float  # of the checkpoint that answers


@dataclass(frozen=True, slots=True)
class AskedRun:
    """The files of a run on questions."""

    learned: Path  # the samples for training
    asked: Path  # those of the split that is asked
    predictions: Path


@dataclass(frozen=True, slots=True)
class LadderRow:
    """What came of one arm; shares from 0 to 1."""

    arm: LadderArm
    tasks: dict[str, float]
    task_intervals: dict[str, Interval | None]
    mean: float  # of the tasks
    interval: Interval | None
    by_seed: tuple[float, ...]
    change: float | None  # against the arm that it is compared with
    change_interval: Interval | None
    p_value: float | None  # corrected for the number of comparisons
    cost: Cost | None


def outcomes_of(samples: Sequence[Sample], predictions: Path, reward: Reward) -> dict[OutcomeKey, float]:
    """What the answers to the samples of a split are worth, by `predictions.jsonl` of a run. Raises InputError for a
    file of something else."""
    try:
        answers = [str(json.loads(line)["answer"]) for line in predictions.read_text("utf-8").splitlines()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{predictions}: cannot be read: {error}") from error
    if len(answers) != len(samples):
        raise InputError(f"{predictions}: {len(answers)} answers for {len(samples)} questions")
    return _worth(samples, answers, reward)


def commonest_outcomes(
    samples: Sequence[Sample], learned: Sequence[Sample], reward: Reward
) -> dict[OutcomeKey, float] | None:
    """What it is worth to say always what is commonest among the training answers of a task; None where a task has
    none."""
    counts: dict[str, Counter[str]] = {}
    for sample in learned:
        counts.setdefault(_task(sample), Counter())[reference_answer(sample)] += 1
    if not counts.keys() >= {_task(sample) for sample in samples}:
        return None
    usual = {task: min(found, key=lambda text: (-found[text], text)) for task, found in counts.items()}
    return _worth(samples, [usual[_task(sample)] for sample in samples], reward)


def _task(sample: Sample) -> str:
    return sample.meta.dimension or sample.meta.question


def _worth(samples: Sequence[Sample], answers: Sequence[str], reward: Reward) -> dict[OutcomeKey, float]:
    found: dict[OutcomeKey, float] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for sample, answer in zip(samples, answers, strict=True):
        (part,) = reward_parts([reward], sample, [answer])
        about = (sample.meta.scenario, _task(sample))
        found[(*about, str(seen[about]))] = part[reward.name]
        seen[about] += 1
    return found


def compared(
    arms: Sequence[LadderArm], runs: Mapping[str, Sequence[AskedRun]], reward: Reward, costs: Mapping[str, Cost]
) -> list[LadderRow]:
    """A row for each arm, whose runs there are seed by seed, and one for the commonest training answers, where each
    task has been trained on.

    Raises InputError where arms were asked different questions, and for an arm of the name of that line.
    """
    if COMMONEST in runs:
        raise InputError(f"{COMMONEST}: is the name of a line that every table of questions has; rename the arm")
    outcomes = {
        name: [outcomes_of(read_samples(one.asked), one.predictions, reward) for one in seeds]
        for name, seeds in runs.items()
    }
    one = runs[arms[0].name][0]
    usual = commonest_outcomes(read_samples(one.asked), read_samples(one.learned), reward)
    if usual is None:
        return rows_of(arms, outcomes, costs)
    line = LadderArm(COMMONEST, "beside", {}, arms[0].name)
    return rows_of([*arms, line], {**outcomes, COMMONEST: [usual] * len(runs[arms[0].name])}, costs)


def rows_of(
    arms: Sequence[LadderArm], outcomes: Mapping[str, Sequence[Mapping[OutcomeKey, float]]], costs: Mapping[str, Cost]
) -> list[LadderRow]:
    """A row for each arm, whose outcomes there are seed by seed. Raises InputError where arms were asked otherwise."""
    means = {name: _mean_outcomes(seeds) for name, seeds in outcomes.items()}
    first = means[arms[0].name]
    for name, found in means.items():
        if found.keys() != first.keys():
            raise InputError(f"ladder: {name} was asked other questions than {arms[0].name}")
    keys = sorted(first)
    groups, tasks = [key[0] for key in keys], [key[1] for key in keys]
    names = sorted(set(tasks))

    def table(name: str) -> resampling.Stratum:
        return resampling.stratum(groups, tasks, [means[name][key] for key in keys])

    rows = []
    for arm in arms:
        own = table(arm.name)
        shares = own.sums.sum(axis=0) / own.counts.sum(axis=0)
        change = change_interval = p_value = None
        if arm.against:
            paired = [Paired(own.sums, table(arm.against).sums, own.counts)]
            change = resampling.mean([own]) - resampling.mean([table(arm.against)])
            change_interval = resampling.paired_interval(paired, 0)
            p_value = resampling.paired_p_value(paired, 0)
        by_seed = tuple(
            resampling.mean([resampling.stratum(groups, tasks, [seed[key] for key in keys])])
            for seed in outcomes[arm.name]
        )
        rows.append(
            LadderRow(
                arm,
                dict(zip(names, map(float, shares), strict=True)),
                dict(zip(names, resampling.column_intervals(own, 0), strict=True)),
                resampling.mean([own]),
                resampling.interval([own], 0),
                by_seed,
                change,
                change_interval,
                p_value,
                costs.get(arm.name),
            )
        )
    corrected = resampling.holm([row.p_value for row in rows])
    return [replace(row, p_value=p_value) for row, p_value in zip(rows, corrected, strict=True)]


def _mean_outcomes(seeds: Sequence[Mapping[OutcomeKey, float]]) -> dict[OutcomeKey, float]:
    if any(seed.keys() != seeds[0].keys() for seed in seeds):
        raise InputError("ladder: the seeds of an arm were asked different questions")
    return {key: float(np.mean([seed[key] for seed in seeds])) for key in seeds[0]}


def heads(rows: Sequence[LadderRow]) -> list[str]:
    return [
        "",
        *rows[0].tasks,
        "mean",
        "95 % of draws",
        "by seed",
        "change",
        "95 % of draws",
        "p",
        "answers/s",
        "memory MB",
        "file MB",
    ]


def cells(row: LadderRow) -> list[str]:
    """Of a table for people, in per cent."""
    change = "" if row.change is None else f"{100 * row.change:+.1f}"
    cost = ["", "", ""]
    if row.cost is not None:
        cost = [f"{row.cost.answers_per_s:.1f}", f"{row.cost.model_mb:.1f}", f"{row.cost.file_mb:.1f}"]
    return [
        row.arm.name,
        *(f"{100 * share:.1f}" for share in row.tasks.values()),
        f"{100 * row.mean:.1f}",
        between(row.interval),
        ", ".join(f"{100 * each:.1f}" for each in row.by_seed),
        change,
        between(row.change_interval, signed=True),
        written_p(row.p_value),
        *cost,
    ]


def between(interval: Interval | None, *, signed: bool = False) -> str:
    """The ends of an interval in per cent; empty where there is none."""
    if interval is None:
        return ""
    form = "+.1f" if signed else ".1f"
    return f"{100 * interval.low:{form}} to {100 * interval.high:{form}}"


def text_table(rows: Sequence[LadderRow]) -> str:
    lines = []
    part = "up"
    for line, row in zip(aligned([heads(rows), *map(cells, rows)]), [None, *rows], strict=True):
        if row is not None and row.arm.part != part:
            lines.append("")
            part = row.arm.part
        lines.append(line)
    return "\n".join(lines) + "\n"


def markdown_table(rows: Sequence[LadderRow]) -> str:
    return markdown(heads(rows), [*map(cells, rows)])


def csv_table(rows: Sequence[LadderRow]) -> str:
    """Numbers unrounded; the interval of each task, and a column for each seed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    tasks = list(rows[0].tasks)
    columns = [f"{task}{end}" for task in tasks for end in ("", " low", " high")]
    seeds = [f"seed {n}" for n in range(len(rows[0].by_seed))]
    changes = ["against", "change", "change low", "change high", "p"]
    writer.writerow(
        ["part", "arm", *columns, "mean", "low", "high", *seeds, *changes, "answers/s", "memory MB", "file MB"]
    )
    for row in rows:
        values: list[Any] = [row.arm.part, spreadsheet_cell(row.arm.name)]
        for task in tasks:
            values += [row.tasks[task], *_ends(row.task_intervals[task])]
        values += [row.mean, *_ends(row.interval), *row.by_seed]
        values += [
            spreadsheet_cell(row.arm.against),
            _cell(row.change),
            *_ends(row.change_interval),
            _cell(row.p_value),
        ]
        cost = row.cost
        values += ["", "", ""] if cost is None else [cost.answers_per_s, cost.model_mb, cost.file_mb]
        writer.writerow(values)
    return out.getvalue()


def _cell(value: float | None) -> float | str:
    return "" if value is None or math.isnan(value) else value


def _ends(interval: Interval | None) -> list[float | str]:
    return ["", ""] if interval is None else [interval.low, interval.high]
