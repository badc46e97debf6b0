"""Is it right more often than who does not look? AutoTrust (arXiv 2412.15206) calls that factuality.

The answers are held against two lines: the best constant answer, which is the most frequent right option of each
question of these words, and the same model without images. The fault is what the better of the two lacks to the model,
counted as a share: a model that is surely better by more than 5 points passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cityscribe.evaluate.probes.probe import (
    ChangedQuestion,
    ProbedAnswers,
    ProbedQuestion,
    ProbeResult,
    accuracy,
    difference,
    judged_gains,
    plain_right,
    share,
)


class Factuality:
    """The member `factuality`. It changes nothing: the question is asked once more in its own words."""

    def variants(self, question: ProbedQuestion, others: Sequence[ProbedQuestion]) -> Sequence[ChangedQuestion]:
        return [ChangedQuestion("asked again", question.options)]

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        plain = plain_right(asked)
        usual: dict[str, Counter[str]] = {}
        for each in asked:
            usual.setdefault(each.question.stem, Counter())[each.truth] += 1
        best = {stem: max(counts, key=lambda option: (counts[option], option)) for stem, counts in usual.items()}
        constant = [float(best[each.question.stem] == each.truth) for each in asked]
        wrong = [1 - right for right in plain]
        lines = accuracy(asked, seed)
        gain = difference("gain over the best constant answer", asked, plain, constant, seed)
        fault = share("wrong", asked, wrong, seed)
        finding, why = judged_gains((gain, lines[2]))
        unsure = [float(each.plain != each.changed[0]) for each in asked]
        again = share("answered otherwise when asked again", asked, unsure, seed)
        measured = (*lines, share("the best constant answer", asked, constant, seed), gain, fault, again)
        examples = [each.question.key for each, bad in zip(asked, wrong, strict=True) if bad]
        return ProbeResult(finding, why, measured, tuple(examples), fault, tuple(wrong))


FACTUALITY = Factuality()
