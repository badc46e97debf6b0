"""A question of a benchmark, and what its scorer says: what every benchmark reads and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from pathlib import Path
from typing import Any, Literal, Protocol, Required, TypedDict

from cityscribe.evaluate.verdict import JudgeItem

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class BenchmarkQuestion:
    """One question that is asked and scored."""

    id: str
    text: str  # in the benchmark's words, without the request for a form of answer
    truth: tuple[str, ...] = ()  # the right answer or, of several annotators, theirs; empty where a test set hides it
    options: tuple[str, ...] = ()  # in the order of their letters A, B, C, ...
    images: tuple[str, ...] = ()  # files, relative to the data folder
    video: str = ""  # the file or the name of a video below the data folder
    encoded_image: str = ""  # in base64, where the file of the questions holds it
    shared_id: str = ""  # an id that other toolkits give to all questions about an image
    optional: bool = False  # it counts only in measures beside the score, and its answer may be missing
    facts: Mapping[str, Any] = field(default_factory=dict)  # by which the score is broken down


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    """One answer as it was written down."""

    place: str  # in its file
    id: str  # empty where the file counts on the order
    text: str
    prompt: str = ""


Measure = float | str | list[str] | Mapping[str, "Measure"] | None
"""A number, names, or measures by name; None where there is nothing to measure."""

Measures = dict[str, Measure]


class Row(TypedDict, total=False):
    """What a rule made of one answer, as it is written, a line a question."""

    id: Required[str]
    answer: str | None
    parsed: str
    truth: str | list[str]
    grade: float | None  # of a judge
    correct: bool | None  # by a judge
    score: Required[float]
    score_llava: float


@dataclass(frozen=True, slots=True)
class RuleScores:
    """What a rule found. `total` holds shares in percent and counts."""

    total: Measures
    rows: list[Row]  # one a question


ToJudge = dict[str, dict[str, JudgeItem]]
"""Rubric -> id of the verdict -> what is judged."""


class Judged(Protocol):
    """Which verdicts a benchmark needs, and what a judge is shown for them."""

    def ids(self, questions: Sequence[BenchmarkQuestion]) -> list[str]:
        """The ids of the verdicts that questions need."""
        ...

    def items(self, questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> ToJudge:
        """What is judged, of questions that are answered."""
        ...


def _each(question: BenchmarkQuestion) -> bool:
    return True


def _first_truth(question: BenchmarkQuestion) -> str:
    return question.truth[0]


@dataclass(frozen=True, slots=True)
class JudgedAnswers:
    """Each answer once, by one rubric, under the id of its question: those of all questions, or of some."""

    rubric: str = "answer"
    needed: Callable[[BenchmarkQuestion], bool] = _each
    reference: Callable[[BenchmarkQuestion], str] = _first_truth

    def ids(self, questions: Sequence[BenchmarkQuestion]) -> list[str]:
        return [question.id for question in questions if self.needed(question)]

    def items(self, questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> ToJudge:
        shown = [question for question in questions if self.needed(question)]
        return {self.rubric: {q.id: JudgeItem(q.text, self.reference(q), answers[q.id]) for q in shown}}


def letter_of(question: BenchmarkQuestion, option: int) -> str:
    """How an answer names an option: by its letter."""
    return LETTERS[option]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark: how its folder is read, how it is asked and what its rule is.

    `read` takes the data folder and the name of a split. `score` takes the questions, the answers by id, and verdicts
    by id where `judged` is not "never": `to_judge` says which, and what a judge is shown for them. `missing` says what
    a question without an answer is: wrong, by the official script, or else nothing can be scored until it is there.

    A verdict comes from a chat model (`judged_by` "chat", by the rubrics of `judge`), from a text classifier, or from
    an encoder, whose BERTScore F1 it is.
    """

    read: Callable[[Path, str], list[BenchmarkQuestion]]
    score: Callable[..., RuleScores]
    prompt: str  # the entry of prompts.yaml
    split: str  # that is scored where none is named
    rule: str  # where the rule comes from
    judged: Literal["never", "also", "always"] = "never"
    judge: str = ""  # of JUDGES, where it is judged
    to_judge: Judged = JudgedAnswers()
    missing: Literal["refused", "wrong"] = "refused"
    read_answers: Callable[[Path], list[WrittenAnswer]] | None = None  # where it has a form of its own
    judged_by: Literal["chat", "classifier", "encoder"] = "chat"
    headline: str = "accuracy"  # the measure that papers give of it; without a judge where it has to be asked
    alike: str = ""  # the fact by which questions are answered alike: each kind has a usual answer of its own
    option_answer: Callable[[BenchmarkQuestion, int], str] = letter_of
    splits: tuple[str, ...] = ()  # that a training may read (`data.source: benchmark`), beside `split`
    licence: str = ""  # of the data set, as its publisher states it; empty where we have not read it
    home: str = ""  # where it is to be had


def percent(values: Sequence[float]) -> float:
    """The mean of shares, in percent; 0 of nothing."""
    return 100 * fsum(values) / len(values) if values else 0.0


def percent_by(questions: Sequence[BenchmarkQuestion], values: Sequence[float], fact: str) -> dict[str, float]:
    """`percent` of each value that a fact has, by name. A fact with a list of values counts under each of them."""
    groups: dict[str, list[float]] = {}
    for question, value in zip(questions, values, strict=True):
        found = question.facts[fact]
        for name in found if isinstance(found, list | tuple) else [found]:
            groups.setdefault(str(name), []).append(value)
    return {name: percent(groups[name]) for name in sorted(groups)}
