"""Open questions: exact match and token F1 of short answers, caption metrics of long ones.

Short answers are compared as the evaluation script of SQuAD 1.1 does: lower case, without punctuation and articles,
white space as one. `exact` is equality of what is left, `f1` that of its words. A question without an answer is wrong,
and so is an answer without a word to a reference that has one. Two kinds of answers are told apart by the reference,
as VQA v2 does: `yes/no`, `number`, `other`.

Long answers are scored as captions are, by the metrics of the profile `wts` (mean over answers) or of `coco` (the
corpus), with the score that the challenge makes of them.
"""

from __future__ import annotations

import re
import string
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import fsum

from cityscribe.evaluate import resampling
from cityscribe.evaluate.question_files import AskedQuestion
from cityscribe.evaluate.question_results import (
    AnswerType,
    LongOutcome,
    LongScores,
    MajorityOfAnswers,
    Origin,
    ShortOutcome,
    ShortScores,
)
from cityscribe.evaluate.registries import Profile
from cityscribe.files import InputError

ARTICLES = re.compile(r"\b(?:a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)

LONG_WORDS = 12
"""References of more words in the mean are captions rather than short answers."""


def normalised(text: str) -> str:
    """What is compared of a short answer."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def token_f1(answer: str, reference: str) -> float:
    """The harmonic mean of precision and recall over the words of two normalised texts, counted with repeats."""
    said, right = answer.split(), reference.split()
    if not said or not right:
        return float(said == right)
    common = (Counter(said) & Counter(right)).total()
    return 2 * common / (len(said) + len(right))


def are_long(questions: Sequence[AskedQuestion]) -> bool:
    """Whether their references are captions rather than short answers."""
    return sum(len(question.reference.split()) for question in questions) > LONG_WORDS * len(questions)


def short_outcomes(questions: Sequence[AskedQuestion]) -> list[ShortOutcome]:
    """What `segments.json` says of each question: `exact` and `f1`, the former being its outcome."""
    found = []
    for question in questions:
        said, right = normalised(question.answer or ""), normalised(question.reference)
        exact = float(question.answer is not None and said == right)
        f1 = token_f1(said, right) if question.answer is not None else 0.0
        found.append(ShortOutcome(group=question.group, outcome=exact, f1=f1, type=answer_type(right)))
    return found


def answer_type(reference: str) -> str:
    """The kind of a normalised reference."""
    if reference in ("yes", "no"):
        return "yes/no"
    return "number" if reference.isdigit() else "other"


def score_short(
    questions: Sequence[AskedQuestion], learned: Sequence[AskedQuestion] = (), seed: int = 0
) -> ShortScores:
    """Means over questions with references, of which there is at least one. `learned` are the training data: the line
    `majority` says of each question the commonest answer to it there, or of all where it was never asked."""
    outcomes = short_outcomes(questions)
    exact, f1 = [each.outcome for each in outcomes], [each.f1 for each in outcomes]
    groups = [question.group for question in questions]
    common, origin = _majority(questions, learned)
    kinds: dict[str, list[ShortOutcome]] = defaultdict(list)
    for each in outcomes:
        kinds[each.type].append(each)
    usual = [
        normalised(said) == normalised(question.reference) for said, question in zip(common, questions, strict=True)
    ]
    return ShortScores(
        questions=len(questions),
        exact=fsum(exact) / len(exact),
        exact_interval=resampling.mean_interval(groups, exact, seed),
        f1=fsum(f1) / len(f1),
        f1_interval=resampling.mean_interval(groups, f1, seed),
        missing=sum(question.answer is None for question in questions),
        empty=sum(question.answer is not None and not question.answer.strip() for question in questions),
        majority=MajorityOfAnswers(origin=origin, exact=fsum(usual) / len(questions)),
        types=[
            AnswerType(
                type=name,
                questions=len(part),
                exact=fsum(each.outcome for each in part) / len(part),
                f1=fsum(each.f1 for each in part) / len(part),
            )
            for name, part in sorted(kinds.items())
        ],
    )


def _majority(questions: Sequence[AskedQuestion], learned: Sequence[AskedQuestion]) -> tuple[list[str], Origin]:
    known = learned or questions
    to_it: dict[str, Counter[str]] = defaultdict(Counter)
    to_any = Counter(normalised(question.reference) for question in known)
    for question in known:
        to_it[question.stem][normalised(question.reference)] += 1

    def commonest(counts: Counter[str]) -> str:
        return min(counts, key=lambda text: (-counts[text], -to_any[text], text))

    ever = commonest(to_any)
    best = {stem: commonest(counts) for stem, counts in to_it.items()}
    return [best.get(question.stem, ever) for question in questions], "train" if learned else "references"


def score_long(
    questions: Sequence[AskedQuestion], profile: Profile, backend: str = "python"
) -> tuple[LongScores, list[LongOutcome]]:
    """Metrics of questions whose references hold words, by a profile, and what `segments.json` says of each: its
    outcome is its score by those metrics, in [0, 1]. Raises InputError for a profile of short answers."""
    if profile.texts is None:
        raise InputError("this profile has no metrics of long answers")
    scores = profile.texts([(question.reference, question.answer or "") for question in questions], backend)
    outcomes = [
        LongOutcome.of(values, group=question.group, outcome=profile.points(values) / 100)
        for question, values in zip(questions, scores.each, strict=True)
    ]
    missing = sum(question.answer is None for question in questions)
    points = profile.points(scores.mean)
    return LongScores.of(scores.mean, questions=len(questions), missing=missing, score=points), outcomes
