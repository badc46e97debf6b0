"""Macro F1 of labels, where a question has one label, several, or none.

Each label is a yes or no of its own: F1 is 2 TP / (2 TP + FP + FN), and macro F1 is the mean over labels, so that a
rare label counts as much as a common one. Labels that only answers name count as well, with an F1 of 0; naming what
does not exist is no way to a better score. With one label a question this is the usual macro F1 over all labels that
are there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import fsum


@dataclass(frozen=True, slots=True)
class LabelScore:
    """Of one label. Shares from 0 to 1; None where their denominator is 0."""

    label: str
    asked: int  # questions that have it
    said: int  # answers that name it
    precision: float | None
    recall: float | None
    f1: float


@dataclass(frozen=True, slots=True)
class LabelScores:
    """Of at least one question."""

    questions: int
    macro_f1: float | None  # None where neither questions nor answers have a label
    micro_f1: float | None  # of all labels together
    exact: float  # the share of questions whose labels are all named, and no others
    labels: tuple[LabelScore, ...]  # in the order of their names


def score_labels(
    references: Sequence[Collection[str]], answers: Sequence[Collection[str]], *, labels: Sequence[str] | None = None
) -> LabelScores:
    """F1 by label, and their means. An answer with no labels is the empty collection.

    `labels` are those that the macro mean is over; by default all that references or answers have. Raises ValueError
    where there is no question, the numbers of references and answers differ, or a text stands for a collection.
    """
    if not references:
        raise ValueError("no labels to score")
    if any(isinstance(one, str) for one in (*references, *answers)):
        raise ValueError("a text is no collection of labels: give (label,)")
    pairs = [(set(reference), set(answer)) for reference, answer in zip(references, answers, strict=True)]
    asked = Counter(label for reference, _ in pairs for label in reference)
    said = Counter(label for _, answer in pairs for label in answer)
    hit = Counter(label for reference, answer in pairs for label in reference & answer)
    names = sorted(asked.keys() | said.keys() if labels is None else set(labels))
    scores = tuple(
        LabelScore(
            name,
            asked[name],
            said[name],
            hit[name] / said[name] if said[name] else None,
            hit[name] / asked[name] if asked[name] else None,
            2 * hit[name] / (asked[name] + said[name]) if hit[name] else 0.0,
        )
        for name in names
    )
    all_named = sum(asked[name] + said[name] for name in names)
    return LabelScores(
        questions=len(pairs),
        macro_f1=fsum(score.f1 for score in scores) / len(scores) if scores else None,
        micro_f1=2 * sum(hit[name] for name in names) / all_named if all_named else None,
        exact=sum(reference == answer for reference, answer in pairs) / len(pairs),
        labels=scores,
    )
