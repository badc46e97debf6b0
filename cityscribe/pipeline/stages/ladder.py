"""ladder: the steps of `ladder.steps` one after the other and left out one by one, each a run of its own.

    ladder/runs/ARM-SEED/                   the runs; a stopped ladder goes on where it was
    ladder/table.txt, table.md, table.csv   a row an arm: tasks, mean, intervals, differences, speed, memory
    ladder/scores.png, ladder/results.json  the same as a picture, and unrounded

There is none where the project names no steps.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from cityscribe.files import InputError, write_json, write_text
from cityscribe.ladder.arms import LadderArm, arms_of, with_settings
from cityscribe.pipeline.stages.prompts import samples_of
from cityscribe.pipeline.step import STAGES, Plan, Step, StepProgress
from cityscribe.project import Settings, resolve

if TYPE_CHECKING:
    from cityscribe.ladder.results import AskedRun, Cost

FOLDER = "ladder"
READ = ("seed", "data", "prepare", "prompts", "model", "pairs", "train", "quantise", "predict", "evaluate", "ladder")
RUN = tuple(stage for stage in STAGES if stage not in ("report", "card", "ladder"))
"""What is made of each arm."""


def steps(plan: Plan) -> Iterator[Step]:
    if not plan.settings.ladder.steps:
        return
    if plan.yields_scenarios:
        raise InputError("ladder: its tasks are questions; data.source brings scenarios")
    planned = planned_runs(plan.settings)
    made_from = [Plan.of(one, plan.digests).made_from for runs in planned.values() for one in runs]
    yield Step(
        "ladder",
        "",
        partial(_make, plan, planned),
        reads=READ,
        but_not=("data.path", "model.base"),
        files=tuple(json.dumps(each, sort_keys=True) for each in made_from),
        writes=tuple(
            f"{FOLDER}/{name}" for name in ("table.txt", "table.md", "table.csv", "scores.png", "results.json")
        ),
        may_write=(),
    )


def planned_runs(settings: Settings) -> dict[LadderArm, list[Settings]]:
    """The runs of each arm, one a seed, with their settings checked."""
    values = settings.model_dump(mode="json")
    del values["ladder"]
    found = {}
    for arm in arms_of(settings.ladder):
        origin = f"ladder: {arm.name}"
        own = with_settings(values, arm.settings, origin)
        runs = str(settings.run_dir / FOLDER / "runs")
        found[arm] = [
            resolve({**own, "name": f"{arm.folder}-{seed}", "runs": runs, "seed": seed}, origin=origin)
            for seed in settings.ladder.seeds
        ]
    return found


def _make(plan: Plan, planned: Mapping[LadderArm, list[Settings]], made_from: str, progress: StepProgress) -> None:
    from cityscribe.ladder.plot import plot_ladder
    from cityscribe.ladder.results import compared, csv_table, markdown_table, text_table
    from cityscribe.pipeline.run import run

    settings, folder = plan.settings, plan.folder / FOLDER
    dearest_last = sorted(planned, key=lambda arm: arm.part == "back")
    order = [planned[arm][n] for n in range(len(settings.ladder.seeds)) for arm in dearest_last]
    for done, one in enumerate(order):  # seed by seed, so that a stopped ladder has whole seeds
        progress(done, len(order))
        there = {step.stage for step in Plan.of(one, plan.digests).steps.values()}
        others = [other.run_dir for other in order if other is not one]
        run(one, _unwatched, lambda line: None, [stage for stage in RUN if stage in there], others, plan.digests)
    progress(len(order), len(order))
    runs = {arm.name: [asked_run(one) for one in ones] for arm, ones in planned.items()}
    rows = compared(list(planned), runs, settings.ladder.score, _costs(planned, settings.ladder.asked))
    write_json(folder / "results.json", {"name": settings.name, "arms": [_plain(asdict(row)) for row in rows]})
    for suffix, table in (("txt", text_table), ("md", markdown_table), ("csv", csv_table)):
        write_text(folder / f"table.{suffix}", table(rows))
    plot_ladder(settings.name, rows, folder / "scores.png")


def asked_run(settings: Settings) -> AskedRun:
    """The files of a run on questions that a table compares."""
    from cityscribe.ladder.results import AskedRun

    asked = samples_of(settings, settings.predict.split)
    return AskedRun(samples_of(settings, "train"), asked, settings.results_dir / "predictions.jsonl")


def _costs(planned: Mapping[LadderArm, list[Settings]], asked: int) -> dict[str, Cost]:
    """Of the first seed of each arm."""
    if not asked:
        return {}
    from cityscribe.ladder.cost import measure
    from cityscribe.records import read_samples

    found = {}
    for arm, (one, *_) in planned.items():
        samples = read_samples(samples_of(one, one.predict.split))
        model = Plan.of(one).variants[0].model
        found[arm.name] = measure(model, samples, one.run_dir / "prepared", one, one.prompts, asked)
    return found


@contextmanager
def _unwatched(step: str) -> Iterator[StepProgress]:
    yield lambda *_: None


def _plain(row: dict[str, object]) -> dict[str, object]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in row.items()}
