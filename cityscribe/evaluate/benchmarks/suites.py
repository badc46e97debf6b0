"""Several benchmarks as one table, each number beside the lines that it has to be read against.

`majority` is the same rule on the commonest right answer of the questions themselves, given to every question: what can
be had without looking. `exact` is the share of answers that are, in other letters and without marks, a right one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cityscribe.evaluate.answers import PUNCTUATION
from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.question import BenchmarkQuestion, percent

SUITES: Mapping[str, tuple[str, ...]] = {
    # Table 1 of the reproduction of LLaMA-VID, in its order.
    "llama-vid": ("gqa", "mmbench", "pope", "science-qa", "vizwiz", "vqav2", "msvd-qa"),
}

HEADLINES = {"pope": "f1", "science-qa": "accuracy_image", "msvd-qa": "exact"}
"""The number that papers give of a benchmark, where it is not its accuracy; what needs a judge is given without."""


@dataclass(frozen=True, slots=True)
class SuiteRow:
    """One benchmark of a suite; shares in percent."""

    benchmark: str
    measure: str  # which number of the benchmark it is
    value: float | None  # None where the rule finds nothing to measure
    majority: float | None
    exact: float
    questions: int


def suite_row(name: str, questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> SuiteRow:
    """The row of a benchmark by its questions and the answers of a model to them, by id."""
    measure = HEADLINES.get(name, "accuracy")
    usual = majority_answer(questions)
    value = _headline(name, measure, questions, answers)
    majority = _headline(name, measure, questions, {q.id: usual for q in questions})
    right = [any(_plain(answers[q.id]) == _plain(truth) for truth in q.truth) for q in questions]
    return SuiteRow(name, measure, value, majority, percent([float(each) for each in right]), len(questions))


def majority_answer(questions: Sequence[BenchmarkQuestion]) -> str:
    """The commonest right answer; of several the first by letters. Of several annotators each counts."""
    counts = Counter(truth for question in questions for truth in question.truth if truth)
    return min(counts, key=lambda answer: (-counts[answer], answer), default="")


def _headline(
    name: str, measure: str, questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]
) -> float | None:
    value = BENCHMARKS[name].score(list(questions), dict(answers)).total[measure]
    return float(value) if isinstance(value, int | float) else None


def _plain(text: str) -> str:
    return " ".join(text.lower().translate(PUNCTUATION).split())
