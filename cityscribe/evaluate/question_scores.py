"""Scores of answered questions: what `evaluate` makes of `predictions.jsonl`.

    choices     questions with options: `choices.py`
    answers     open questions with short answers: `answers.py`
    wts, coco   open questions with long ones, as captions: `answers.py`
    auto        options by `choices`, open questions by `answers` or, where they are long, by `wts`

`score` is the mean outcome of all scored questions in points: of a choice right or wrong, of a short answer exact or
not, of a long one its score as a caption; it stands beside the parts that it is made of and says less than they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from typing import Any

from cityscribe.evaluate import choices, resampling
from cityscribe.evaluate.answers import are_long, score_long, score_short, short_outcomes
from cityscribe.evaluate.provenance import provenance
from cityscribe.evaluate.question_files import AskedQuestion, from_sample, read_questions
from cityscribe.evaluate.registries import PROFILES, Profile
from cityscribe.evaluate.wts import Backend
from cityscribe.records import Sample

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class QuestionScores:
    """What an evaluation found. `segments` says of each scored question its `outcome` in [0, 1], its `group` and its
    part's own values."""

    total: dict[str, Any]
    segments: dict[str, dict[str, Any]]
    warnings: tuple[str, ...]
    provenance: dict[str, str]


def evaluate_questions(
    predictions: Path,
    samples: Sequence[Sample] | None = None,
    *,
    learned: Sequence[Sample] = (),
    profile: str = "auto",
    backend: Backend = "python",
    split: str | None = None,
    against: str = "",
    seed: int = 0,
) -> QuestionScores:
    """Score the JSON lines of `predict` against `samples`, or against the references that stand beside the answers.

    `learned` are the training samples, from which the line `majority` knows what is common; `against` is a class that
    the choices also set against all others. Questions without reference are counted and not scored; where no question
    has one, `score` is None. Raises InputError for a file that is malformed or about something else.
    """
    rules = None if profile == AUTO else PROFILES[profile]
    questions, unknown = read_questions(predictions, samples)
    known = [from_sample(sample, "", None) for sample in learned]
    warnings = [f"{predictions}: {unknown} answers to questions that the references do not have"] if unknown else []
    total: dict[str, Any] = {"questions": len(questions)}
    segments: dict[str, dict[str, Any]] = {}
    scored = _score_choices(questions, known, against, seed, total, segments)
    if rules is None or rules.open_questions:
        scored += _score_open(questions, known, rules, backend, seed, total, segments)
    total["unscored"] = unscored = len(questions) - scored
    if unscored:
        warnings.append(f"{predictions}: {unscored} of {len(questions)} questions have no reference to be scored by")
    missing = sum(question.answer is None for question in questions)
    if missing:
        warnings.append(f"{predictions}: {missing} of {len(questions)} questions are not answered and count as wrong")
    outcomes = [each["outcome"] for each in segments.values()]
    total["score"] = 100 * fsum(outcomes) / len(outcomes) if outcomes else None
    total["interval"] = _interval(segments, seed)
    references = {question.key: [question.reference, *question.options] for question in questions}
    made_by = provenance(profile, split, references, predictions, ("numpy",))
    return QuestionScores(total, segments, tuple(warnings), {**made_by, "seed": str(seed)})


def _score_choices(
    questions: Sequence[AskedQuestion],
    known: Sequence[AskedQuestion],
    against: str,
    seed: int,
    total: dict[str, Any],
    segments: dict[str, dict[str, Any]],
) -> int:
    """Adds to total and segments; returns how many of the questions are scored."""
    asked = [read for question in questions if question.options and (read := choices.read_answer(question))]
    if asked:
        taught = [read for question in known if question.options and (read := choices.read_answer(question))]
        rounds = choices.circles(asked)
        total["choices"] = choices.score_choices(rounds, taught, against=against, seed=seed)
        firsts = [circle[0] for circle in rounds]
        segments |= {each.question.key: _segment(each.question, choices.outcome(each)) for each in firsts}
    return len(asked)


def _score_open(
    questions: Sequence[AskedQuestion],
    known: Sequence[AskedQuestion],
    rules: Profile | None,
    backend: Backend,
    seed: int,
    total: dict[str, Any],
    segments: dict[str, dict[str, Any]],
) -> int:
    """Adds to total and segments; returns how many of the questions are scored. Without `rules` the answers decide."""
    asked = [question for question in questions if not question.options and question.reference.strip()]
    if not asked:
        return 0
    if rules is None and are_long(asked):
        rules = PROFILES["wts"]
    if rules is not None and rules.texts is not None:
        asked = [question for question in asked if any(map(str.isalnum, question.reference))]
        total["captions"], found = score_long(asked, rules, backend)
    else:
        taught = [question for question in known if not question.options and question.reference.strip()]
        total["answers"], found = score_short(asked, taught, seed), short_outcomes(asked)
    segments |= {question.key: _segment(question, each) for question, each in zip(asked, found, strict=True)}
    return len(asked)


def _segment(question: AskedQuestion, values: dict[str, Any]) -> dict[str, Any]:
    return {"group": question.group, **values}


def _interval(segments: dict[str, dict[str, Any]], seed: int) -> list[float] | None:
    if not segments:
        return None
    groups = [each["group"] for each in segments.values()]
    return resampling.mean_interval(groups, [100 * each["outcome"] for each in segments.values()], seed)
