"""Two questions of which one is a yes and the other a no: the better of the two ways to answer them.

Sets of traffic questions ask about what is there and about what is not, in pairs (TAR, AI City Challenge 2026, Track
3; ProbMed's twins). Where it is known that a set is built so, two equal answers are wrong for sure. The constraint is
solved exactly: of the two joint answers that are left, the one with the larger sum of log-likelihoods. Nothing is
counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from cityscribe.predict.over_time.decoder import AnswerDecoder, Decoded, StepQuestion
from cityscribe.predict.over_time.viterbi import likelihood

if TYPE_CHECKING:
    from cityscribe.predict.over_time.counts import AnswerCounts


class OneYesOneNo(AnswerDecoder):
    """Yes/no questions of a step, two and two in their order; what is no such pair gets its likeliest option."""

    kind: Literal["one-yes-one-no"] = "one-yes-one-no"
    pairs: Literal["adjacent", "only"] = Field(
        "adjacent",
        description="of the yes/no questions of a phase or clip the first and the second, the third and the fourth, "
        "and so on; or only those of phases and clips that have just two",
    )

    def decode(self, questions: Sequence[StepQuestion], counts: AnswerCounts | None) -> Decoded:
        chosen = [question.chosen for question in questions]
        by_step: dict[int, list[int]] = defaultdict(list)
        for place, question in enumerate(questions):
            if _yes_no(question) is not None:
                by_step[question.step].append(place)
        for places in by_step.values():
            if self.pairs == "only" and len(places) != 2:
                continue
            for first, second in zip(places[::2], places[1::2], strict=False):
                chosen[first], chosen[second] = _best_pair(questions[first], questions[second])
        return Decoded(tuple(chosen))


def _yes_no(question: StepQuestion) -> tuple[int, int] | None:
    """The places of yes and no among the options; None where the options are others."""
    words = [option.strip().rstrip(".").lower() for option in question.options]
    return (words.index("yes"), words.index("no")) if sorted(words) == ["no", "yes"] else None


def _best_pair(first: StepQuestion, second: StepQuestion) -> tuple[int, int]:
    """The option of each; of equal sums the first one is a yes."""
    (yes, no), (other_yes, other_no) = _yes_no(first) or (0, 1), _yes_no(second) or (0, 1)
    one, other = likelihood(first), likelihood(second)
    if one[yes] + other[other_no] >= one[no] + other[other_yes]:
        return yes, other_no
    return no, other_yes
