"""Samples asked of an engine, one answer each, as a search for prompts asks them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cityscribe.engine.batches import whole_groups
from cityscribe.engine.request import Engine
from cityscribe.predict.settings import Predicting
from cityscribe.predict.stage import asking
from cityscribe.records import Sample, placed
from cityscribe.rewards.reward import asked_of


class EngineAsking:
    """The answers to the last questions of samples; the images lie under `root`."""

    def __init__(self, engine: Engine, root: Path, settings: Predicting) -> None:
        self.engine, self.root, self.settings = engine, root, settings

    def __call__(self, samples: Sequence[Sample]) -> list[str]:
        if not samples:
            return []
        places = whole_groups(
            range(len(samples)), lambda n: samples[n].images or samples[n].group, self.settings.predict.batch_size
        )
        found: dict[int, str] = {}
        asked = asking(self.settings)
        for batch in places:
            self.engine.forget()
            requests = [
                replace(
                    asked,
                    messages=tuple(placed(asked_of(samples[n]), self.root)),
                    media=tuple(self.root / image for image in samples[n].images),
                )
                for n in batch
            ]
            found |= {n: answers[0].text for n, answers in zip(batch, self.engine.answer(requests), strict=True)}
        return [found[n] for n in range(len(samples))]
