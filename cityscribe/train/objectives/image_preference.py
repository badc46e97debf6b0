"""Preference with images (mDPO, Wang et al. 2024): an answer is also set above the same answer to another image.

A preference that language alone decides teaches nothing about images. So a unit has, beside the chosen answer and the
rejected ones, the chosen answer again behind another image or a masked one; with r = log pi - log ref:

    -log sigmoid(beta (r(chosen) - r(rejected)))                     Eq. 1, DPO
    -image_weight log sigmoid(beta (r(chosen) - r(other image)))     Eq. 4
    -anchor_weight log sigmoid(beta r(chosen) - anchor)              Eq. 5: the chosen answer does not fall

Each term is the mean over the rejected samples of its kind in the unit; one that a unit has none of is left out of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from cityscribe.files import InputError
from cityscribe.records import Sample, text_of
from cityscribe.settings import Rate
from cityscribe.train.objectives.dpo import REFERENCE, preference_loss
from cityscribe.train.objectives.objective import Arrangement, Scored
from cityscribe.train.objectives.pairs import PairObjective, by_pair

if TYPE_CHECKING:
    from torch import Tensor


class ImagePreference(PairObjective):
    """Mean over units of one chosen sample and any number of rejected ones."""

    kind: Literal["image-preference"] = "image-preference"
    beta: Rate = Field(0.1, description="how strongly the training holds to the base")
    image_weight: float = Field(1.0, ge=0, description="of the term that compares images")
    anchor_weight: float = Field(1.0, ge=0, description="of the term that keeps the chosen answer from falling")
    anchor: float = Field(0.0, description="the least reward, beta times nats, that the chosen answer is drawn to")
    reference: Path | None = Field(None, description=REFERENCE)

    needs_reference: ClassVar[bool] = True

    def arrange(self, samples: Sequence[Sample]) -> Arrangement:
        """Units with the chosen sample first."""
        compared, left_out = by_pair(samples)
        units: list[tuple[int, ...]] = []
        for name, numbers in compared.items():
            chosen = [n for n in numbers if not samples[n].rejected]
            if len(chosen) != 1 or len(numbers) < 2:
                raise InputError(
                    f"pair {name}: has {len(chosen)} chosen and {len(numbers) - len(chosen)} rejected answers; "
                    f"train.objective {self.kind} compares one with one or more"
                )
            first = samples[chosen[0]]
            same = [n for n in numbers if n != chosen[0] and (samples[n].messages, samples[n].images) == _shown(first)]
            others = tuple(n for n in numbers if n != chosen[0] and n not in same)
            left_out += [(n, "its pair says the same twice") for n in same]
            if others:
                units.append((chosen[0], *others))
            else:
                left_out.append((chosen[0], "its pair says the same twice"))
        if not units:
            raise InputError(
                f"train.objective {self.kind}: none of {len(samples)} samples is of a pair that says two things"
            )
        return Arrangement(tuple(units), tuple(sorted(left_out)))

    def loss(self, scored: Scored) -> Tensor:
        rewards = self.beta * (scored.sums() - scored.reference_sums())
        total = rewards.new_zeros(())
        for chosen, *rejected in scored.units:
            answer = text_of(scored.samples[chosen].messages[-1])
            images = [n for n in rejected if text_of(scored.samples[n].messages[-1]) == answer]
            answers = [n for n in rejected if n not in images]
            for weight, numbers in ((1.0, answers), (self.image_weight, images)):
                if numbers:
                    total = total + weight * preference_loss(rewards[chosen] - rewards[numbers]).mean()
            total = total + self.anchor_weight * preference_loss(rewards[chosen] - self.anchor)
        return total


def _shown(sample: Sample) -> tuple[object, object]:
    return sample.messages, sample.images
