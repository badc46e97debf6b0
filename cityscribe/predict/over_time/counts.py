"""What the training answers say before any picture is seen: of answers, of changes from step to step, of relations.

Each share is smoothed towards the next coarser one, by as many imagined answers as `Smoothing` says (Dirichlet priors):

    answer to a question      towards all options alike
    ... in a step             towards the answer in any step
    ... after an answer       towards the answer in that step; "after" is the step before in which it was asked
    two answers in a step     towards independent ones

Shares are among the options that are offered. How many answers are imagined is chosen on the training data alone: what
makes the answers of sequences that were left out likeliest (`fit_counts`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import combinations, pairwise
from math import fsum
from typing import TypeVar

import numpy as np

from cityscribe.predict.over_time.decoder import StepQuestion

FOLDS = 5
IMAGINED = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Numbers of imagined answers that are tried."""

_Key = TypeVar("_Key")

Sequences = Sequence[Sequence[StepQuestion]]


@dataclass(frozen=True, slots=True)
class Smoothing:
    """Imagined answers behind each kind of share."""

    answer: float = 1.0
    step: float = 1.0
    change: float = 1.0
    pair: float = 1.0


@dataclass(slots=True)
class AnswerCounts:
    """How often what was the right answer in the training data."""

    smoothing: Smoothing = Smoothing()
    answers: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    in_step: dict[tuple[str, int], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    after: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    pairs: dict[tuple[str, str], Counter[tuple[str, str]]] = field(default_factory=lambda: defaultdict(Counter))

    def usual(self, question: StepQuestion) -> np.ndarray:  # [options]
        """How usual each option is in any step."""
        size = len(question.options)
        uniform = np.full(size, 1 / size)
        return _smoothed(self.answers, question.name, question.options, self.smoothing.answer, uniform)

    def shares(self, question: StepQuestion) -> np.ndarray:  # [options]
        """How usual each option is in this step."""
        place = (question.name, question.step)
        return _smoothed(self.in_step, place, question.options, self.smoothing.step, self.usual(question))

    def changes(self, before: StepQuestion, now: StepQuestion) -> np.ndarray:  # [options before, options now]
        """How usual each option is after each answer to the same question in the step before."""
        usual = self.shares(now)
        rows = [
            _smoothed(self.after, (now.name, option), now.options, self.smoothing.change, usual)
            for option in before.options
        ]
        return np.stack(rows)

    def changed(self, name: str) -> float | None:
        """In which share of the steps after another one the answer to a question was a new one; None where no step
        was."""
        rows = [(before, counts) for (asked, before), counts in self.after.items() if asked == name]
        total = sum(counts.total() for _, counts in rows)
        return sum(counts.total() - counts[before] for before, counts in rows) / total if total else None

    def lift(self, first: StepQuestion, second: StepQuestion) -> np.ndarray:  # [options of first, options of second]
        """The logarithm of how much more usual two answers are together than if they were independent."""
        if first.name > second.name:
            return self.lift(second, first).T
        counts = self.pairs.get((first.name, second.name))
        if counts is None:
            return np.zeros((len(first.options), len(second.options)))
        table = np.array([[counts[a, b] for b in second.options] for a in first.options], dtype=np.float64)
        total, imagined = table.sum(), self.smoothing.answer
        rows = (table.sum(1) + imagined / len(first.options)) / (total + imagined)
        columns = (table.sum(0) + imagined / len(second.options)) / (total + imagined)
        apart = np.outer(rows, columns)
        together = (table + self.smoothing.pair * apart) / (total + self.smoothing.pair)
        return np.asarray(np.log(together) - np.log(apart))

    def information(self, first: str, second: str) -> float:
        """The mutual information of the answers to two questions in one step, in nats, less what chance alone gives
        (Miller 1955: degrees of freedom by twice the number of answers); 0 where nothing is left."""
        counts = self.pairs.get((min(first, second), max(first, second)))
        if not counts:
            return 0.0
        total = counts.total()
        rows, columns = Counter[str](), Counter[str]()
        for (a, b), times in counts.items():
            rows[a] += times
            columns[b] += times
        found = fsum(n / total * np.log(n * total / (rows[a] * columns[b])) for (a, b), n in sorted(counts.items()))
        return max(0.0, found - (len(rows) - 1) * (len(columns) - 1) / (2 * total))


def fit_counts(sequences: Sequences) -> AnswerCounts:
    """Counts of training sequences, with the smoothing that makes sequences which were left out likeliest.

    Equal sequences in equal order give equal counts. Of fewer than two sequences the smoothing stays as it is.
    """
    found = count_answers(sequences)
    if len(sequences) < 2:
        return found
    folds = [sequences[n::FOLDS] for n in range(min(FOLDS, len(sequences)))]
    held_out = [
        (count_answers([each for m, fold in enumerate(folds) if m != n for each in fold]), _Seen.of(folds[n]))
        for n in range(len(folds))
    ]
    smoothing = Smoothing()
    for kind in fields(Smoothing):  # from the coarsest share to the finest, which stands on it
        tried = [replace(smoothing, **{kind.name: imagined}) for imagined in IMAGINED]
        smoothing = max(tried, key=lambda one: _fit(held_out, one, kind.name))
    found.smoothing = smoothing
    return found


def count_answers(sequences: Iterable[Sequence[StepQuestion]]) -> AnswerCounts:
    """The counts of sequences with their right answers."""
    counts = AnswerCounts()
    for sequence in sequences:
        for question in sequence:
            counts.answers[question.name][_right(question)] += 1
            counts.in_step[question.name, question.step][_right(question)] += 1
        for before, now in following(sequence):
            counts.after[now.name, _right(before)][_right(now)] += 1
        for first, second in together(sequence):
            counts.pairs[first.name, second.name][_right(first), _right(second)] += 1
    return counts


def following(sequence: Sequence[StepQuestion]) -> Iterator[tuple[StepQuestion, StepQuestion]]:
    """Each question with itself in the last step before in which it was asked."""
    by_name: dict[str, list[StepQuestion]] = defaultdict(list)
    for question in sorted(sequence, key=lambda question: question.step):
        if question.step >= 0:
            by_name[question.name].append(question)
    for asked in by_name.values():
        yield from ((before, now) for before, now in pairwise(asked) if before.step < now.step)


def together(sequence: Sequence[StepQuestion]) -> Iterator[tuple[StepQuestion, StepQuestion]]:
    """Each two different questions of a step, in the order of their names."""
    by_step: dict[int, list[StepQuestion]] = defaultdict(list)
    for question in sequence:
        by_step[question.step].append(question)
    for asked in by_step.values():
        ordered = sorted(asked, key=lambda question: question.name)
        yield from ((a, b) for a, b in combinations(ordered, 2) if a.name != b.name)


def _right(question: StepQuestion) -> str:
    return question.options[question.chosen]


def _smoothed(
    counts: Mapping[_Key, Counter[str]], key: _Key, options: Sequence[str], imagined: float, towards: np.ndarray
) -> np.ndarray:
    known = counts.get(key)
    if known is None:
        return towards
    seen = np.array([known[option] for option in options], dtype=np.float64)
    return np.asarray((seen + imagined * towards) / (seen.sum() + imagined))


@dataclass(slots=True)
class _Seen:
    """What was seen in sequences, each with how often: smoothing is judged by that."""

    questions: Counter[StepQuestion]
    changes: Counter[tuple[StepQuestion, StepQuestion]]
    pairs: Counter[tuple[StepQuestion, StepQuestion]]

    @classmethod
    def of(cls, sequences: Sequences) -> _Seen:
        return cls(
            Counter(question for sequence in sequences for question in sequence),
            Counter(both for sequence in sequences for both in following(sequence)),
            Counter(both for sequence in sequences for both in together(sequence)),
        )


def _fit(held_out: Sequence[tuple[AnswerCounts, _Seen]], smoothing: Smoothing, kind: str) -> float:
    """The log-likelihood of right answers by counts of other sequences, by the share that `kind` smooths."""
    found = []
    for counts, seen in held_out:
        counts.smoothing = smoothing
        if kind == "answer":
            found += [n * np.log(counts.usual(one)[one.chosen]) for one, n in seen.questions.items()]
        elif kind == "step":
            found += [n * np.log(counts.shares(one)[one.chosen]) for one, n in seen.questions.items()]
        elif kind == "change":
            found += [n * np.log(counts.changes(a, b)[a.chosen, b.chosen]) for (a, b), n in seen.changes.items()]
        else:
            found += [n * counts.lift(a, b)[a.chosen, b.chosen] for (a, b), n in seen.pairs.items()]
    return fsum(found)
