"""Pairs of a chosen and a rejected answer, of the samples that carry a `Preference`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from cityscribe.files import InputError
from cityscribe.records import Sample
from cityscribe.train.objectives.objective import Arrangement, Objective, Scored

if TYPE_CHECKING:
    from torch import Tensor

    from cityscribe.tree import Forest


class PairObjective(Objective):
    """The two answers of a pair are one unit; the loss is the mean over pairs. Only the last answer of each counts."""

    answers: ClassVar[Literal["all", "last"]] = "last"

    def arrange(self, samples: Sequence[Sample]) -> Arrangement:
        return arrange_pairs(samples, self.name)

    def denominator(self, forests: Sequence[Forest], units: int) -> float:
        return float(units)


def raised(scored: Scored) -> tuple[Tensor, Tensor]:
    """How far the training has raised the chosen and the rejected answers above the reference, nats, [units] each."""
    chosen, rejected = scored.of_units(scored.sums() - scored.reference_sums()).unbind(1)
    return chosen, rejected


def by_pair(samples: Sequence[Sample]) -> tuple[dict[str, list[int]], list[tuple[int, str]]]:
    """The numbers of the samples of each pair, by its name, and those of no pair with that as the reason."""
    pairs: dict[str, list[int]] = {}
    left_out = []
    for number, sample in enumerate(samples):
        if sample.preference is None:
            left_out.append((number, "of no pair"))
        else:
            pairs.setdefault(sample.preference.pair, []).append(number)
    return pairs, left_out


def arrange_pairs(samples: Sequence[Sample], objective: str) -> Arrangement:
    """Units of two samples each, the chosen answer first, in the order in which their pairs first appear.

    A sample of no pair is left out, and so are both of a pair that says the same twice: they teach nothing. Raises
    InputError where there is no pair at all, or one is not made of one chosen and one rejected answer.
    """
    pairs, left_out = by_pair(samples)
    if not pairs:
        raise InputError(
            f"train.objective {objective}: none of {len(samples)} samples is of a pair; it learns from questions with "
            "a chosen and a rejected answer"
        )
    units: list[tuple[int, int]] = []
    for name, numbers in pairs.items():
        rejected, chosen = ([n for n in numbers if samples[n].rejected is wanted] for wanted in (True, False))
        if len(chosen) != 1 or len(rejected) != 1:
            raise InputError(
                f"pair {name}: has {len(chosen)} chosen and {len(rejected)} rejected answers; "
                f"train.objective {objective} compares one with one"
            )
        first, second = samples[chosen[0]], samples[rejected[0]]
        if (first.messages, first.images) == (second.messages, second.images):
            left_out += [(number, "its pair says the same twice") for number in (chosen[0], rejected[0])]
        else:
            units.append((chosen[0], rejected[0]))
    if not units:
        raise InputError(f"train.objective {objective}: each of the {len(pairs)} pairs says the same twice")
    return Arrangement(tuple(units), tuple(sorted(left_out)))
