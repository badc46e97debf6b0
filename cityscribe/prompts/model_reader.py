"""What a frame shows, as a model answers the looks of a library: short questions that share the image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from cityscribe.engine.request import Answer, Engine, Request
from cityscribe.files import InputError
from cityscribe.predict.batches import answer_batches
from cityscribe.predict.journal import SharedJournal
from cityscribe.predict.rounds import ask_in_rounds
from cityscribe.prompts.library import FrameLook, PromptLibrary, filled, holds, value_of, waits_for
from cityscribe.prompts.reader import FrameImages, FrameReading, SceneReader, SeenFeatures
from cityscribe.records import image_block, message, text_block
from cityscribe.settings import Positive
from cityscribe.train import processes


class ModelReader(SceneReader):
    """The looks of the library, asked of a model: all that wait for nothing at once, then those that wait for them."""

    kind: Literal["model"] = "model"
    model: str = Field("", description="folder or hub id of the model that looks; empty takes model.base")
    max_new_tokens: Positive = Field(12, description="of the answer to a look")
    batch_size: Positive = Field(16, description="frames that are looked at together")

    asks: ClassVar[bool] = True

    def files(self, data: Path) -> tuple[Path | str, ...]:
        return (self.model,) if self.model else ()

    def read(self, frames: Sequence[FrameImages], reading: FrameReading) -> list[SeenFeatures]:
        if not reading.library.looks:
            raise InputError("prompts.reader model: the library has no looks that could be asked")
        size = self.batch_size
        batches = [frames[start : start + size] for start in range(0, len(frames), size)]
        if reading.journal is None:
            engine = reading.load(self.model)
            return [shown for batch in batches for shown in self.look(engine, batch, reading)]
        key = hashlib.sha256(json.dumps([reading.made_from, frames, self.model_dump()]).encode()).hexdigest()
        journal = SharedJournal(reading.journal, key)
        found, _ = answer_batches(
            batches,
            journal,
            lambda: reading.load(self.model),
            lambda engine, batch: self.look(engine, batch, reading),
            reading.progress,
        )
        if processes.is_first():
            journal.discard()
        return found

    def look(self, engine: Engine, frames: Sequence[FrameImages], reading: FrameReading) -> list[dict[str, str]]:
        """What an engine sees in some frames."""
        asking = Request((), max_tokens=self.max_new_tokens)
        looking = [_Looking(frame, reading.library, reading.image_root, asking) for frame in frames]
        ask_in_rounds(engine, looking)
        return [one.shown for one in looking]


class _Looking:
    """The looks at one frame."""

    def __init__(self, frame: FrameImages, library: PromptLibrary, root: Path, asking: Request) -> None:
        self.shown: dict[str, str] = {}
        self._media = tuple(root / image for image in frame)
        self._waiting: dict[str, FrameLook] = dict(library.looks)
        self._asked: list[str] = []
        self._max_tokens = asking.max_tokens

    def due(self) -> list[Request]:
        requests: list[Request] = []
        self._asked = []
        while True:
            ready = [name for name, look in self._waiting.items() if not waits_for(look) & self._waiting.keys()]
            if not ready:
                return requests
            for name in ready:
                look = self._waiting[name]
                text = filled(look.ask, self.shown)
                if text is None or not holds(look.when, self.shown):
                    del self._waiting[name]  # it has nothing to ask, and those behind it need not wait
                    continue
                self._asked.append(name)
                blocks = [*(image_block() for _ in self._media), text_block(text)]
                requests.append(Request((message("user", *blocks),), self._media, max_tokens=self._max_tokens))
            if self._asked:
                return requests

    def take(self, answers: Sequence[Sequence[Answer]]) -> None:
        for name, (answer, *_) in zip(self._asked, answers, strict=True):
            value = value_of(self._waiting.pop(name), answer.text)
            if value:
                self.shown[name] = value
