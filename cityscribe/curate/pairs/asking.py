"""Asks the model that is to be trained, for a builder of pairs. What a killed call had asked is not asked again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from cityscribe.engine.batches import whole_groups
from cityscribe.engine.decoding import Contrast
from cityscribe.engine.request import UNANSWERED, Engine, Request, Sampling
from cityscribe.files import InputError, whole_file
from cityscribe.predict.batches import answer_batches
from cityscribe.predict.journal import SharedJournal
from cityscribe.progress import Progress
from cityscribe.records import Sample, placed
from cityscribe.rewards.reward import asked_of
from cityscribe.tokens.encode import Encoder
from cityscribe.tokens.shown import read_media, without_media

if TYPE_CHECKING:
    from PIL.Image import Image

    from cityscribe.engine.request import MediaRegion


class EngineAnswering:
    """An `Answering` over an engine that is loaded when it is first asked. Journals lie in `folder`, a call each; `key`
    says which model and settings they are of."""

    def __init__(
        self,
        load: Callable[[], Engine],
        image_root: Path,
        folder: Path,
        key: str,
        *,
        seed: int,
        max_tokens: int,
        batch_size: int,
        progress: Progress,
        pictures: Path | None = None,
    ) -> None:
        self._load, self.root, self._folder, self._key = load, image_root, folder, key
        self._seed, self._max_tokens, self._batch_size, self._progress = seed, max_tokens, batch_size, progress
        self._calls, self._pictures = 0, pictures

    def __call__(
        self,
        samples: Sequence[Sample],
        *,
        count: int = 1,
        temperature: float = 0.0,
        images: bool = True,
        contrast: float = 0.0,
    ) -> list[list[str]]:
        """As `Answering`. Raises InputError where no question can be answered."""
        self._calls += 1
        self._folder.mkdir(parents=True, exist_ok=True)
        how = [count, temperature, images, contrast, self._seed, self._max_tokens, self._batch_size]
        said = json.dumps([self._key, how, [asdict(sample) for sample in samples]], sort_keys=True)
        key = hashlib.sha256(said.encode()).hexdigest()
        journal = SharedJournal(self._folder / f"asked-{self._calls}.jsonl", key)
        batches = whole_groups(range(len(samples)), lambda n: samples[n].images or samples[n].group, self._batch_size)

        def request(sample: Sample) -> Request:
            messages = placed(asked_of(sample), self.root) if images else without_media(asked_of(sample))
            return Request(
                messages=tuple(messages),
                media=tuple(self.root / image for image in sample.images) if images else (),
                max_tokens=self._max_tokens,
                sampling=Sampling(temperature, seed=self._seed),
                samples=count,
                contrast=Contrast(growth=contrast) if contrast else None,
            )

        def ask(engine: Engine, batch: Sequence[int]) -> list[list[list[str]]]:
            answers = engine.answer([request(samples[n]) for n in batch])
            return [[[one.text, one.reason if one.problem in UNANSWERED else ""] for one in own] for own in answers]

        found, _ = answer_batches(batches, journal, self._load, ask, self._progress)
        by_number = dict(zip((n for batch in batches for n in batch), found, strict=True))
        reasons = [reason for own in found for _, reason in own if reason]
        if len(reasons) == sum(map(len, found)):
            journal.discard()
            raise InputError(f"pairs: the model answers none of {len(samples)} questions; the first: {reasons[0]}")
        return [[text for text, _ in by_number[n]] for n in range(len(samples))]

    def looks(self, samples: Sequence[Sample], regions: Sequence[MediaRegion]) -> list[float | None]:
        """As `Answering`. Raises InputError for a model that gives no attention."""
        from cityscribe.engine.local import LocalEngine
        from cityscribe.engine.looks import attention_on_media, share_on

        engine = self._load()
        if not isinstance(engine, LocalEngine):
            raise InputError("pairs: where a model looks can only be seen here, not on a server")
        encoder = Encoder(engine.model, engine.processor)
        found: list[float | None] = []
        for number, (sample, region) in enumerate(zip(samples, regions, strict=True), start=1):
            media = read_media(sample.name, sample.messages, sample.images, self.root)
            said = encoder.teach(sample.name, sample.messages, media)
            try:
                looks = attention_on_media(engine.model, said)
            except ValueError as error:
                raise InputError(f"pairs: {error}; its pairs cannot be made by where it looks") from error
            found.append(share_on(looks, said.media_ids, region))
            self._progress(number, len(samples))
        return found

    def keep_picture(self, name: str, picture: Image) -> str:
        """As `Answering`: a file beside the prepared data, named relative to them."""
        if self._pictures is None:
            raise ValueError("no folder for pictures")
        self._pictures.mkdir(parents=True, exist_ok=True)
        file = self._pictures / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.png"
        with whole_file(file) as partial:
            picture.save(partial, format="png")
        return os.path.relpath(file, self.root)

    def discard(self) -> None:
        """Delete the journals: what was made of the answers is in its place."""
        for file in self._folder.glob("asked-*.jsonl"):
            file.unlink()
