"""Each question as two of yes and no: whether the right option is right, and whether a wrong one is.

ProbMed (arXiv 2405.20421) gives every question such an adversarial twin and counts a pair only where both are right, so
that a model that says yes to everything gets nothing. The wrong option is drawn by the key of the question. Failed
where both get the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from cityscribe.evaluate.probes.misleading import misled_to
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

YES, NO = "Yes", "No"


class Twins:
    """The member `twins`."""

    def variants(self, question: ProbedQuestion, others: Sequence[ProbedQuestion]) -> Sequence[ChangedQuestion]:
        wrong = misled_to(question)
        if not wrong:
            return ()
        true = question.options[question.right]
        return [
            ChangedQuestion(label, (YES, NO), text=with_options(claim(question.stem, option), (YES, NO)), right=right)
            for label, option, right in (("the right option", true, YES), ("a wrong option", wrong, NO))
        ]

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        pairs = [each.right() for each in asked]
        said = [float(one == YES) for each in asked for one in each.changed]
        yes = [(said[2 * n] + said[2 * n + 1]) / 2 for n in range(len(asked))]
        lines = [
            *accuracy(asked, seed),
            share("right about the right option", asked, [right for right, _ in pairs], seed),
            share("right about a wrong option", asked, [right for _, right in pairs], seed),
            share("both right", asked, [first * second for first, second in pairs], seed),
            share("says yes", asked, yes, seed),
        ]
        for dimension in sorted({each.question.about.get("dimension", "") for each in asked} - {""}):
            part = [n for n, each in enumerate(asked) if each.question.about.get("dimension") == dimension]
            both = [pairs[n][0] * pairs[n][1] for n in part]
            lines.append(share(f"both right, {dimension}", [asked[n] for n in part], both, seed))
        same = [float(each.changed[0] == each.changed[1]) for each in asked]
        return result(asked, same, "same answer to both", "pairs that get the same answer", lines, seed)


def claim(stem: str, option: str) -> str:
    """A question with an answer, to be said yes or no to."""
    return f"{stem}\nSomebody answers: {option}.\nIs that right?"


TWINS = Twins()
