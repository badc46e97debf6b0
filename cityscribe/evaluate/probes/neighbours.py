"""Two pictures that look alike and one question that they answer differently: NaturalBench (arXiv 2410.14669).

For a question the miner finds another one of the same words whose right option is another: of the same clip before
others, and of those the one whose picture is most alike (by its colours on a grid). Both are asked with these two
options only, in both orders: four questions, of which a model that says what is usual gets half.

`question accuracy`: one order right for both pictures; `image accuracy`: both orders right for one picture; `group
accuracy`: all four right, 1 in 16 by chance. Failed where both pictures get the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from cityscribe.evaluate.probes.probe import (
    ChangedQuestion,
    ProbedAnswers,
    ProbedQuestion,
    ProbeResult,
    accuracy,
    result,
    share,
    with_options,
)
from cityscribe.media.images import open_image

SIDE = 8
"""Of the grid of colours that pictures are compared by."""


class Neighbours:
    """The member `neighbours`."""

    def variants(self, question: ProbedQuestion, others: Sequence[ProbedQuestion]) -> Sequence[ChangedQuestion]:
        other = neighbour(question, others)
        if other is None:
            return ()
        mine, its = question.options[question.right], other.options[other.right]
        return [
            ChangedQuestion(
                f"{picture}, {order}", options, text=with_options(question.stem, options), images=images, right=right
            )
            for picture, images, right in (("its picture", None, mine), ("the neighbour", other.images, its))
            for order, options in (("one order", (mine, its)), ("the other order", (its, mine)))
        ]

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        right = [each.right() for each in asked]  # of four: picture 1 in both orders, picture 2 in both orders
        same = [(float(e.changed[0] == e.changed[2]) + float(e.changed[1] == e.changed[3])) / 2 for e in asked]
        lines = [
            *accuracy(asked, seed),
            share("question accuracy", asked, [(r[0] * r[2] + r[1] * r[3]) / 2 for r in right], seed),
            share("image accuracy", asked, [(r[0] * r[1] + r[2] * r[3]) / 2 for r in right], seed),
            share("group accuracy", asked, [r[0] * r[1] * r[2] * r[3] for r in right], seed),
        ]
        what = "pairs of pictures that get the same answer though another one is right"
        return result(asked, same, "same answer to both", what, lines, seed)


def neighbour(question: ProbedQuestion, others: Sequence[ProbedQuestion]) -> ProbedQuestion | None:
    """The question of the same words about the most similar picture with another right option; None for none."""
    mine = question.options[question.right]
    found = [
        other
        for other in others
        if other.stem == question.stem != question.text
        and other.options[other.right] != mine
        and len(other.images) == len(question.images) > 0
    ]
    if not found:
        return None
    return min(found, key=lambda other: (other.group != question.group, _away(question, other), other.key))


def _away(one: ProbedQuestion, other: ProbedQuestion) -> float:
    pairs = zip(one.images, other.images, strict=True)
    return float(sum(np.abs(_colours(first) - _colours(second)).mean() for first, second in pairs))


@lru_cache(maxsize=4096)
def _colours(path: Path) -> np.ndarray:
    return np.asarray(open_image(path).resize((SIDE, SIDE)), dtype=np.float64)


NEIGHBOURS = Neighbours()
