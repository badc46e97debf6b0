"""What sets of clips have in common: how many, how long, and the seed of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cityscribe.world.rigs import WIDTH


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """How many clips, and how long."""

    train: int = 40
    test: int = 12
    seconds: float = 20.0
    fps: int = 10
    seed: int = 0
    renderer: str = "raster"
    width: int = WIDTH  # of the videos, in pixels; they are 16:9


@dataclass(frozen=True, slots=True)
class ClipJob:
    """One clip. Splits never share a seed."""

    split: str
    number: int  # from 1
    seed: int
    settings: ClipSettings

    @property
    def frames(self) -> int:
        return round(self.settings.seconds * self.settings.fps)


def clip_jobs(settings: ClipSettings) -> Iterator[ClipJob]:
    for number in range(1, settings.train + settings.test + 1):
        split = "train" if number <= settings.train else "test"
        yield ClipJob(split, number, settings.seed * 1_000_003 + number, settings)
