"""What the model says with the image, amplified, against what it says without (Favero et al. 2024, section 4.3).

Needs no reference: the chosen answer is decoded by M3ID, which raises what the image makes likelier, the rejected one
by language alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from cityscribe.curate.pairs.builder import Answering, NoPair, Pair, PairBuilder, pair_of
from cityscribe.records import Sample
from cityscribe.settings import Rate


class ImageAgainstNone(PairBuilder):
    kind: Literal["image-against-none"] = "image-against-none"
    forgetting: Rate = Field(0.02, description="how fast the image is forgotten along an answer, a token (lambda)")

    asks: ClassVar[bool] = True

    def build(self, samples: Sequence[Sample], answering: Answering, seed: int) -> Iterator[Pair | NoPair]:
        shown = answering(samples, contrast=self.forgetting)
        blind = answering(samples, images=False)
        for sample, (chosen,), (rejected,) in zip(samples, shown, blind, strict=True):
            yield pair_of(self.kind, sample, chosen, rejected, ("own output, M3ID", "own output without the image"))
