"""Runs of questions as their folders hold them, and what separates the models in them.

The models are those of one run (tuned, then its baselines) or the tuned ones of several runs. The first is what the
others are compared with: intervals come from drawing groups (the questions of a clip), p-values from exchanging the two
models group by group, corrected by Holm's method where there is more than one comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cityscribe.evaluate import resampling
from cityscribe.evaluate.question_files import AskedQuestion, read_questions
from cityscribe.evaluate.question_results import Outcome, QuestionTotal, read_outcomes, read_total
from cityscribe.evaluate.resampling import Interval, Paired
from cityscribe.files import InputError, read_json
from cityscribe.predict.settings import results_in
from cityscribe.records import Sample, read_samples
from cityscribe.report.run_files import BASELINES, CurvePoint, own_name, read_curve
from cityscribe.report.settings import Reporting


@dataclass(frozen=True, slots=True)
class AnsweringModel:
    """One model: its scores, the outcome of each scored question, what made them, and its answers by question."""

    name: str
    scores: QuestionTotal
    outcomes: Mapping[str, Outcome]
    provenance: Mapping[str, Any]
    answers: dict[str, str | None]
    curve: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True)
class Lead:
    """By how many points another model scores above the first; None where it cannot be known."""

    points: float
    interval: Interval | None
    p_value: float | None


@dataclass(frozen=True, slots=True)
class QuestionRun:
    """Models that answered the same questions, the first before the others."""

    questions: dict[str, AskedQuestion]
    models: tuple[AnsweringModel, ...]
    leads: tuple[Lead, ...]  # of all models but the first

    @property
    def first(self) -> AnsweringModel:
        return self.models[0]


def read_question_run(run_dir: Path, settings: Reporting) -> QuestionRun:
    """The models of one run. Raises InputError for a folder or a file that is missing or malformed."""
    if not run_dir.is_dir():
        raise InputError(f"{run_dir}: no such run; `cityscribe run` makes it")
    prepared = run_dir / "prepared" / f"{settings.predict.split}.parquet"
    own = own_name(settings)
    results = results_in(run_dir, settings.predict.split)
    homes = {own: (results, run_dir)}
    homes |= {name: (results / "baselines" / name, run_dir / "baselines" / name) for name in BASELINES}
    samples = read_samples(prepared) if prepared.is_file() else None
    questions: dict[str, AskedQuestion] = {}
    models = []
    for name, (folder, home) in homes.items():
        if (folder / "scores.json").is_file() or name == own:
            model, asked = _read_model(name, folder, home, samples)
            models.append(model)
            questions = questions or asked
    return QuestionRun(questions, tuple(models), _leads(models, settings.seed))


def join_question_runs(runs: Mapping[str, QuestionRun], seed: int = 0) -> QuestionRun:
    """The first models of several runs side by side. Raises InputError where they did not answer the same questions."""
    if len(runs) < 2:
        raise InputError("compare: give two runs or more")
    (name, first), *rest = runs.items()
    for other, run in rest:
        if run.first.outcomes.keys() != first.first.outcomes.keys():
            raise InputError(f"{other}: did not answer the same questions as {name}; compare equal splits")
    models = [replace(run.first, name=name) for name, run in runs.items()]
    return QuestionRun(first.questions, tuple(models), _leads(models, seed))


def _read_model(
    name: str, folder: Path, home: Path, samples: Sequence[Sample] | None
) -> tuple[AnsweringModel, dict[str, AskedQuestion]]:
    asked, _ = read_questions(folder / "predictions.jsonl", samples)
    model = AnsweringModel(
        name=name,
        scores=read_total(folder / "scores.json"),
        outcomes=read_outcomes(folder / "segments.json"),
        provenance=read_json(folder / "scores.provenance.json"),
        answers={question.key: question.answer for question in asked},
        curve=read_curve(name, home),
    )
    return model, {question.key: question for question in asked}


def _leads(models: Sequence[AnsweringModel], seed: int) -> tuple[Lead, ...]:
    first, *others = models
    tables = [_paired(other, first) for other in others]
    p_values = resampling.holm([resampling.paired_p_value([table], seed) if table else None for table in tables])
    return tuple(
        Lead(
            points=(other.scores.score or 0.0) - (first.scores.score or 0.0),
            interval=resampling.paired_interval([table], seed) if table else None,
            p_value=p_value,
        )
        for other, table, p_value in zip(others, tables, p_values, strict=True)
    )


def _paired(model: AnsweringModel, other: AnsweringModel) -> Paired | None:
    """The outcomes of two models in points, [groups, 1] each; None where nothing is scored."""
    keys = sorted(model.outcomes.keys() & other.outcomes.keys())
    if not keys:
        return None
    groups = [model.outcomes[key].group for key in keys]
    first, second = (
        resampling.stratum(groups, [""] * len(keys), [100 * each.outcomes[key].outcome for key in keys])
        for each in (model, other)
    )
    return Paired(first.sums, second.sums, first.counts)
