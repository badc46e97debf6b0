"""Scores of answered questions: what `evaluate` makes of `predictions.jsonl`.

    choices     questions with options: `choices.py`
    answers     open questions with short answers: `answers.py`
    wts, coco   open questions with long ones, as captions: `answers.py`
    auto        options by `choices`, open questions by `answers` or, where they are long, by `wts`

`score` is the mean outcome of all scored questions in points: of a choice right or wrong, of a short answer exact or
not, of a long one its score as a caption; it stands beside the parts that it is made of and says less than they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from typing import Literal

from cityscribe.evaluate import choices, resampling
from cityscribe.evaluate.answers import are_long, score_long, score_short, short_outcomes
from cityscribe.evaluate.provenance import provenance
from cityscribe.evaluate.question_files import AskedQuestion, from_sample, read_questions
from cityscribe.evaluate.question_results import (
    ChoiceScores,
    LongScores,
    Outcome,
    QuestionTotal,
    ShortScores,
)
from cityscribe.evaluate.registries import PROFILES, MetricBackend, Profile
from cityscribe.records import Sample

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class QuestionScores:
    """What an evaluation found. `outcomes` are of the scored questions, by key."""

    found: QuestionTotal
    outcomes: Mapping[str, Outcome]
    warnings: tuple[str, ...]
    provenance: dict[str, str]

    @property
    def total(self) -> dict[str, object]:
        """What `scores.json` holds."""
        return self.found.to_json()

    @property
    def segments(self) -> dict[str, dict[str, object]]:
        """What `segments.json` holds."""
        return {key: outcome.model_dump() for key, outcome in self.outcomes.items()}


def evaluate_questions(
    predictions: Path,
    samples: Sequence[Sample] | None = None,
    *,
    learned: Sequence[Sample] = (),
    profile: str = "auto",
    backend: MetricBackend = "python",
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
    scored = _score_choices(questions, known, against, seed)
    if rules is None or rules.open_questions:
        scored += _score_open(questions, known, rules, backend, seed)
    unscored = len(questions) - sum(part.questions for part in scored)
    if unscored:
        warnings.append(f"{predictions}: {unscored} of {len(questions)} questions have no reference to be scored by")
    missing = sum(question.answer is None for question in questions)
    if missing:
        warnings.append(f"{predictions}: {missing} of {len(questions)} questions are not answered and count as wrong")
    outcomes = {key: outcome for part in scored for key, outcome in part.outcomes.items()}
    total = QuestionTotal.model_validate(
        {
            "questions": len(questions),
            **{part.name: part.scores for part in scored},
            "unscored": unscored,
            "score": 100 * fsum(each.outcome for each in outcomes.values()) / len(outcomes) if outcomes else None,
            "interval": _interval(outcomes, seed),
        }
    )
    references = {question.key: [question.reference, *question.options] for question in questions}
    made_by = provenance(profile, split, references, predictions, ("numpy",))
    return QuestionScores(total, outcomes, tuple(warnings), {**made_by, "seed": str(seed)})


@dataclass(frozen=True, slots=True)
class _Part:
    """The scores of some of the questions."""

    name: Literal["choices", "answers", "captions"]
    scores: ChoiceScores | ShortScores | LongScores
    questions: int  # that are scored, each order of the options for itself
    outcomes: Mapping[str, Outcome]


def _score_choices(
    questions: Sequence[AskedQuestion], known: Sequence[AskedQuestion], against: str, seed: int
) -> list[_Part]:
    asked = [read for question in questions if question.options and (read := choices.read_answer(question))]
    if not asked:
        return []
    taught = [read for question in known if question.options and (read := choices.read_answer(question))]
    rounds = choices.circles(asked)
    scores = choices.score_choices(rounds, taught, against=against, seed=seed)
    outcomes = {circle[0].question.key: choices.outcome(circle[0]) for circle in rounds}
    return [_Part("choices", scores, len(asked), outcomes)]


def _score_open(
    questions: Sequence[AskedQuestion],
    known: Sequence[AskedQuestion],
    rules: Profile | None,
    backend: MetricBackend,
    seed: int,
) -> list[_Part]:
    """Without `rules` the answers decide."""
    asked = [question for question in questions if not question.options and question.reference.strip()]
    if not asked:
        return []
    if rules is None and are_long(asked):
        rules = PROFILES["wts"]
    if rules is not None and rules.texts is not None:
        asked = [question for question in asked if any(map(str.isalnum, question.reference))]
        captions, long = score_long(asked, rules, backend)
        return [_Part("captions", captions, len(asked), _by_key(asked, long))]
    taught = [question for question in known if not question.options and question.reference.strip()]
    return [_Part("answers", score_short(asked, taught, seed), len(asked), _by_key(asked, short_outcomes(asked)))]


def _by_key(questions: Sequence[AskedQuestion], outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    return {question.key: each for question, each in zip(questions, outcomes, strict=True)}


def _interval(outcomes: Mapping[str, Outcome], seed: int) -> list[float] | None:
    if not outcomes:
        return None
    groups = [each.group for each in outcomes.values()]
    return resampling.mean_interval(groups, [100 * each.outcome for each in outcomes.values()], seed)
