"""What a score of a benchmark has to be read against: the lines that need no model that sees.

    Lines(majority=48.0, chance=25.1, exact=61.0)

`majority` is the benchmark's own rule on the commonest right answer, given to every question of a kind. `chance` is
that rule on drawn answers: one of the options or, where a question has none, the right answer of a question of its
kind; the mean of several draws. `exact` is the share of answers that are, in other letters and without marks, a right
one. The blind line, the model's own answers without images, has to be asked (`cityscribe benchmark run`).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from cityscribe.evaluate.answers import PUNCTUATION
from cityscribe.evaluate.benchmarks.question import Benchmark, BenchmarkQuestion, Measures, percent

DRAWS = 20
"""Of answers by chance; fewer where there are more than ANSWERS of them in all."""

ANSWERS = 100_000


@dataclass(frozen=True, slots=True)
class Lines:
    """Beside a score, in its unit; None where the rule needs a judge or finds nothing to measure."""

    measure: str  # which number of the benchmark they are lines of
    majority: float | None
    chance: float | None


def lines_of(benchmark: Benchmark, questions: Sequence[BenchmarkQuestion], *, seed: int = 0) -> Lines:
    """The lines of a benchmark whose right answers are known."""
    if benchmark.judged == "always" or not questions:
        return Lines(benchmark.headline, None, None)
    usual = majority_answers(benchmark, questions)
    drawn = []
    rng = random.Random(seed)
    for _ in range(max(1, min(DRAWS, ANSWERS // len(questions)))):
        value = headline(benchmark, questions, drawn_answers(benchmark, questions, rng))
        drawn += [] if value is None else [value]
    chance = fsum(drawn) / len(drawn) if drawn else None
    return Lines(benchmark.headline, headline(benchmark, questions, usual), chance)


def headline(benchmark: Benchmark, questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> float | None:
    """The number that papers give of a benchmark, without a judge."""
    return headline_of(benchmark, benchmark.score(list(questions), dict(answers)).total)


def headline_of(benchmark: Benchmark, total: Measures) -> float | None:
    value = total.get(benchmark.headline)
    return float(value) if isinstance(value, int | float) else None


def majority_answers(benchmark: Benchmark, questions: Sequence[BenchmarkQuestion]) -> dict[str, str]:
    """The commonest right answer of its kind for every question; of several the first by letters. Of several
    annotators each counts."""
    counts: dict[str, Counter[str]] = {}
    for question in questions:
        counts.setdefault(_kind(benchmark, question), Counter()).update(truth for truth in question.truth if truth)
    usual = {
        kind: min(found, key=lambda answer: (-found[answer], answer), default="") for kind, found in counts.items()
    }
    return {question.id: usual[_kind(benchmark, question)] for question in questions}


def drawn_answers(benchmark: Benchmark, questions: Sequence[BenchmarkQuestion], rng: random.Random) -> dict[str, str]:
    """An answer by chance to every question."""
    pools: dict[str, list[str]] = {}
    for question in questions:
        pools.setdefault(_kind(benchmark, question), []).extend(truth for truth in question.truth if truth)
    answers = {}
    for question in questions:
        if question.options:
            answers[question.id] = benchmark.option_answer(question, rng.randrange(len(question.options)))
        else:
            answers[question.id] = rng.choice(pools[_kind(benchmark, question)] or [""])
    return answers


def exact_share(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> float:
    """In percent."""
    right = [any(plain(answers.get(q.id, "")) == plain(truth) for truth in q.truth) for q in questions]
    return percent([float(each) for each in right])


def _kind(benchmark: Benchmark, question: BenchmarkQuestion) -> str:
    return str(question.facts[benchmark.alike]) if benchmark.alike else ""


def plain(text: str) -> str:
    """A text in small letters, without marks and with single spaces."""
    return " ".join(text.lower().translate(PUNCTUATION).split())
