"""The question without its picture, with a way out: a model that looks says that it cannot tell.

DriveBench (arXiv 2501.04003) found answers that stay as plausible when the picture is gone. Failed where an option is
named as if there were a picture.
"""

from __future__ import annotations

from collections.abc import Sequence

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

UNKNOWN = "It cannot be told without a picture."


class TextOnly:
    """The member `text-only`."""

    def variants(self, question: ProbedQuestion, others: Sequence[ProbedQuestion]) -> Sequence[ChangedQuestion]:
        if question.stem == question.text:
            return ()
        options = (*question.options, UNKNOWN)
        text = with_options(question.stem, options)
        return [
            ChangedQuestion("no picture", options, text=text, images=(), right=UNKNOWN),
            ChangedQuestion("with the picture", options, text=text),
        ]

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        answered = [float(each.changed[0] != UNKNOWN) for each in asked]
        lines = [
            *accuracy(asked, seed),
            share("right with the picture and the way out", asked, [each.right()[1] for each in asked], seed),
            share("took the way out with the picture", asked, [float(e.changed[1] == UNKNOWN) for e in asked], seed),
            share("right without the picture", asked, [float(e.changed[0] == e.truth) for e in asked], seed),
        ]
        return result(
            asked, answered, "answered without a picture", "questions answered without a picture", lines, seed
        )


TEXT_ONLY = TextOnly()
