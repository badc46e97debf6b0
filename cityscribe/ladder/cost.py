"""What answering takes: time of the processor and weights in memory, of all models that take part.

Looks are counted: where a model reads what a frame shows, its first questions are asked too, and its weights lie in
memory beside those of the model that answers, unless it is that model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from cityscribe.engine.members import open_engine
from cityscribe.engine.request import Engine, Request
from cityscribe.ladder.results import Cost
from cityscribe.models.load import resolve_base
from cityscribe.predict.settings import Predicting
from cityscribe.predict.setup import setup_of
from cityscribe.predict.stage import asking
from cityscribe.prompts.library import load_library
from cityscribe.prompts.model_reader import ModelReader
from cityscribe.prompts.reader import FrameImages, FrameReading
from cityscribe.prompts.settings import PromptSettings
from cityscribe.records import Sample
from cityscribe.rewards.reward import asked_of

REPEATS = 3
"""Times that the same is asked; the fastest counts."""


def measure(
    model: str, samples: list[Sample], image_root: Path, settings: Predicting, prompts: PromptSettings, images: int
) -> Cost:
    """What it takes to answer the questions about the first `images` images of some samples, as they are asked."""
    frames: list[FrameImages] = list(dict.fromkeys(sample.images for sample in samples))[:images]
    asked = [sample for sample in samples if sample.images in frames]
    setup = replace(setup_of(settings), drafts=False)
    engines: dict[str, Engine] = {model: open_engine("local", model, setup)}
    look: Callable[[], object] = lambda: None  # noqa: E731
    if prompts.look and isinstance(prompts.reader, ModelReader):
        looking = prompts.reader
        place = looking.model or settings.model.base
        if place not in engines:
            engines[place] = open_engine("local", place, setup)
        reader = engines[place]
        reading = FrameReading(load_library(prompts.library), image_root, image_root, lambda _: reader)
        look = lambda: looking.look(reader, frames, reading)  # noqa: E731
    requests = [_request(sample, image_root, settings) for sample in asked]
    times_s = []
    for _ in range(REPEATS):
        for engine in engines.values():
            engine.forget()
        began_s = time.process_time()
        look()
        engines[model].answer(requests)
        times_s.append(time.process_time() - began_s)
    in_memory = _bytes(_tensors(engines.values()))
    files = sum(file.stat().st_size for file in Path(resolve_base(model)).glob("*.safetensors"))
    return Cost(len(asked) / min(times_s), in_memory / 1e6, files / 1e6)


def _request(sample: Sample, root: Path, settings: Predicting) -> Request:
    media = tuple(root / image for image in sample.images)
    return replace(asking(settings), messages=tuple(asked_of(sample)), media=media)


def _tensors(engines: Iterable[Engine]) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    for engine in engines:
        inner: Any = getattr(engine, "engine", engine)
        found += [*inner.model.parameters(), *inner.model.buffers()]
    return found


def _bytes(tensors: list[torch.Tensor]) -> int:
    """Of different storages; tied weights count once."""
    sizes = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(sizes.values())
