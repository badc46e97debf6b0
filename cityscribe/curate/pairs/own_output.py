"""The reference as the chosen answer, what the model says as the rejected one (CityLLaVA, end of section 3.3).

The chosen answer is one that the model would hardly give: in the paper, DPO on such pairs lowered the scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

from cityscribe.curate.pairs.builder import Answering, NoPair, Pair, PairBuilder, pair_of
from cityscribe.records import Sample
from cityscribe.rewards.reward import reference_answer


class OwnOutput(PairBuilder):
    kind: Literal["own-output"] = "own-output"

    asks: ClassVar[bool] = True

    def build(self, samples: Sequence[Sample], answering: Answering, seed: int) -> Iterator[Pair | NoPair]:
        for sample, (own,) in zip(samples, answering(samples), strict=True):
            yield pair_of(self.kind, sample, reference_answer(sample), own, ("reference", "own output"))
