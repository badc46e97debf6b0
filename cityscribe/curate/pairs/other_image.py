"""An answer with its image against the same answer with another image (mDPO, Wang et al. 2024).

For `train.objective: {kind: image-preference}`, and for `dpo`, which compares any two samples of a pair. The other
image is that of another sample that shows as many, drawn by the seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from cityscribe.curate.pairs.builder import Answering, NoPair, Pair, PairBuilder
from cityscribe.records import Preference, Sample
from cityscribe.rewards.reward import answered, reference_answer


class OtherImage(PairBuilder):
    kind: Literal["other-image"] = "other-image"

    asks: ClassVar[bool] = False

    def build(self, samples: Sequence[Sample], answering: Answering, seed: int) -> Iterator[Pair | NoPair]:
        shown = list(dict.fromkeys(sample.images for sample in samples))
        for sample in samples:
            others = [images for images in shown if len(images) == len(sample.images) and images != sample.images]
            if not sample.images or not others:
                yield NoPair(sample.name, "there is no other image to show")
                continue
            name = f"{self.kind}:{sample.group}/{sample.name}"
            other = random.Random(f"{seed} {name}").choice(others)
            chosen = answered(sample, reference_answer(sample), Preference(name, True))
            rejected = replace(chosen, images=other, preference=Preference(name, False))
            yield Pair((chosen, rejected), "reference", "reference, another image", other)
