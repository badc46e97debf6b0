"""Pairs that are there already: in the data, or in another run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from cityscribe.curate.pairs.builder import Answering, NoPair, Pair, PairBuilder
from cityscribe.files import InputError
from cityscribe.records import Sample, read_samples


class AsGiven(PairBuilder):
    """Makes none: the samples of the training stay as they are, pairs among them."""

    kind: Literal["as-given"] = "as-given"

    builds: ClassVar[bool] = False


class OfFile(PairBuilder):
    """Pairs about the samples that are there."""

    kind: Literal["file"] = "file"
    path: Path = Field(Path("pairs/train.parquet"), description="pairs/train.parquet of another run of the same data")

    def build(self, samples: Sequence[Sample], answering: Answering, seed: int) -> Iterator[Pair | NoPair]:
        known = {(sample.group, sample.images) for sample in samples}
        pairs: dict[str, list[Sample]] = {}
        for sample in read_samples(self.path, rejected=True):
            if sample.preference is not None:
                pairs.setdefault(sample.preference.pair, []).append(sample)
        if not pairs:
            raise InputError(f"{self.path}: holds no pairs")
        for name, own in pairs.items():
            if (own[0].group, own[0].images) in known:
                yield Pair(tuple(own), str(self.path), str(self.path))
            else:
                yield NoPair(name, "is about none of the samples of this run")
