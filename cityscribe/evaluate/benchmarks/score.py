"""Score a file of answers to a benchmark: what `cityscribe score benchmark NAME --answers FILE` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.answers import match_answers, read_answers
from cityscribe.evaluate.benchmarks.question import Benchmark, BenchmarkQuestion, Measures, Row
from cityscribe.evaluate.benchmarks.verdicts import require
from cityscribe.evaluate.provenance import provenance
from cityscribe.evaluate.verdict import Verdict
from cityscribe.files import InputError


@dataclass(frozen=True, slots=True)
class BenchmarkScores:
    """What the rule of a benchmark found.

    `total` holds its measures, `rows` one entry a question, `provenance` which rule, versions and data made them;
    `questions` are those that were scored.
    """

    total: Measures
    rows: list[Row]
    warnings: tuple[str, ...]
    provenance: dict[str, str]
    questions: tuple[BenchmarkQuestion, ...]


def score_benchmark(
    name: str,
    questions: Sequence[BenchmarkQuestion],
    answers: Path,
    *,
    split: str | None = None,
    partial: bool = False,
    verdicts: Mapping[str, Verdict] | None = None,
) -> BenchmarkScores:
    """Score the answers in a file by the official rule; with `partial` only the questions that have an answer.

    Raises InputError for answers or verdicts that cannot be read or are not there, and a split without right answers.
    """
    benchmark = BENCHMARKS[name]
    given, warnings = read_matched(benchmark, questions, answers, partial=partial)
    # What the rule counts as wrong stays in; what has no answer otherwise is passed over.
    wrong = benchmark.missing == "wrong" and not partial
    scored = [question for question in questions if wrong or question.id in given]
    hidden = [question.id for question in scored if not any(question.truth)]
    if hidden:
        raise InputError(f"{name}: the right answers of this split are not published: question {hidden[0]}")
    if benchmark.judged == "never":
        found = benchmark.score(scored, given)
    elif verdicts is None and benchmark.judged == "always":
        raise InputError(f"{name}: is scored by a judge; give its verdicts with --verdicts, or a judge with --judge")
    else:
        if verdicts is not None:
            require("verdicts", verdicts, benchmark.to_judge.ids(scored))
        found = benchmark.score(scored, given, verdicts)
    made_by = provenance(name, split or benchmark.split, _hashable(scored), answers, ())
    return BenchmarkScores(
        {"benchmark": name, "questions": sum(not question.optional for question in scored), **found.total},
        found.rows,
        tuple(warnings),
        {**made_by, "rule": benchmark.rule},
        tuple(scored),
    )


def read_matched(
    benchmark: Benchmark, questions: Sequence[BenchmarkQuestion], answers: Path, *, partial: bool
) -> tuple[dict[str, str], list[str]]:
    """Question id -> answer, and warnings, from a file of answers."""
    read = benchmark.read_answers or read_answers
    return match_answers(answers, read(answers), questions, rule=benchmark, partial=partial)


def _hashable(questions: Sequence[BenchmarkQuestion]) -> dict[str, object]:
    return {question.id: [question.text, question.truth, question.options] for question in questions}
