"""The options in every rotation: a model that knows the answer gives it wherever it stands.

`changed its answer` is the share of questions whose answers in all orders are not the same option, `right in every
order` is circular evaluation (MMBench, arXiv 2307.06281). `prefers LETTER` is the share of all answers that name a
letter less the share in which it is right; over all rotations each letter is right equally often, so that any
difference is a preference (Zheng et al. 2024, arXiv 2309.03882).
"""

from __future__ import annotations

from collections.abc import Sequence

from cityscribe.evaluate.probes.probe import (
    ChangedQuestion,
    ProbedAnswers,
    ProbedQuestion,
    ProbeLine,
    ProbeResult,
    accuracy,
    judged,
    share,
)
from cityscribe.letters import LETTERS, rotated


class OptionOrder:
    """The member `option-order`."""

    def variants(self, question: ProbedQuestion, others: Sequence[ProbedQuestion]) -> Sequence[ChangedQuestion]:
        options = question.options
        if len(set(options)) < len(options):
            return ()  # two options with the same words cannot be told apart
        return [ChangedQuestion(f"rotated by {by}", rotated(options, by)) for by in range(1, len(options))]

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        inconsistent = [float(len({each.plain, *each.changed}) > 1 or not each.plain) for each in asked]
        in_all = [float({each.plain, *each.changed} == {each.truth}) for each in asked]
        fault = share("changed its answer", asked, inconsistent, seed)
        finding, why = judged(fault, "answers change with the order of the options")
        preference = max(self._preferences(asked, seed), key=lambda line: line.value)
        if finding == "failed":
            why += f"; {preference.name} by {100 * preference.value:.1f} points"
        lines = (*accuracy(asked, seed), share("right in every order", asked, in_all, seed), fault, preference)
        examples = [each.question.key for each, bad in zip(asked, inconsistent, strict=True) if bad]
        return ProbeResult(finding, why, lines, tuple(examples), fault, tuple(inconsistent))

    def _preferences(self, asked: Sequence[ProbedAnswers], seed: int) -> list[ProbeLine]:
        """How much oftener each letter is named than it is right, over all orders."""
        most = max(len(each.question.options) for each in asked)
        return [
            share(f"prefers {letter.upper()}", asked, [self._excess(each, n) for each in asked], seed)
            for n, letter in enumerate(LETTERS[:most])
        ]

    def _excess(self, each: ProbedAnswers, place: int) -> float:
        """The share of the orders of a question in which the option at a place is named, less the share in which it is
        right."""
        orders = [each.question.options, *(variant.options for variant in each.variants)]
        if place >= len(orders[0]):
            return 0.0
        said = (each.plain, *each.changed)
        named = sum(order[place] == one for order, one in zip(orders, said, strict=True))
        return (named - sum(order[place] == each.truth for order in orders)) / len(orders)


OPTION_ORDER = OptionOrder()
