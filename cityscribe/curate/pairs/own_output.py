"""The reference as the chosen answer, what the model says as the rejected one (CityLLaVA, end of section 3.3).

The chosen answer is one that the model would hardly give: in the paper, DPO on such pairs lowered the scores. Other
builders that begin with what the model says can take it from the pairs that are made here, so that several runs ask
once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from cityscribe.curate.pairs.builder import Answering, NoPair, Pair, PairBuilder, pair_of
from cityscribe.records import Sample, read_samples
from cityscribe.rewards.reward import asked_of, reference_answer

KIND: Literal["own-output"] = "own-output"


class OwnOutput(PairBuilder):
    kind: Literal["own-output"] = KIND

    asks: ClassVar[bool] = True

    def build(self, samples: Sequence[Sample], answering: Answering, seed: int) -> Iterator[Pair | NoPair]:
        for sample, (own,) in zip(samples, answering(samples), strict=True):
            yield pair_of(self.kind, sample, reference_answer(sample), own, ("reference", "own output"))


class OfOwnOutput(PairBuilder):
    """A builder that begins with what the model says, asked here or in another run."""

    own: Path | None = Field(
        None,
        description="pairs/train.parquet of a run of the same model with `own-output`, whose rejected answers are what "
        "the model says; null asks it",
    )

    asks: ClassVar[bool] = True

    def with_own(self, samples: Sequence[Sample], answering: Answering) -> Iterator[tuple[Sample, str] | NoPair]:
        """Samples with what the model says to their last question. Raises InputError for a file that is none of
        samples."""
        if self.own is None:
            yield from ((sample, own) for sample, (own,) in zip(samples, answering(samples), strict=True))
            return
        known = {
            _question(sample): reference_answer(sample)
            for sample in read_samples(self.own, rejected=True)
            if sample.rejected and sample.preference is not None and sample.preference.pair.startswith(f"{KIND}:")
        }
        for sample in samples:
            own = known.get(_question(sample))
            yield NoPair(sample.name, f"{self.own} has no own output to it") if own is None else (sample, own)


def _question(sample: Sample) -> str:
    return json.dumps([sample.group, sample.images, asked_of(sample)], sort_keys=True)
