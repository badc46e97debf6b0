"""What runs in the process that holds the model: it answers batches and says each piece of text as it comes.

    in    Asked, ... (a list)        a batch; the next one is sent when this one is answered
          the id of a request        nobody waits for it any more
          None                       end

    out   Ready                      once, when the model is loaded and has answered
          str                        why it cannot be loaded, instead of that
          Piece, Said, Refused       about one request; one of the last two ends it

Greedy answers are those of `cityscribe.predict.local.Engine`.
"""

from __future__ import annotations

import functools
import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cityscribe.files import InputError
from cityscribe.project import Settings
from cityscribe.records import image_block, message, text_block, text_of

if TYPE_CHECKING:  # the process that listens imports this module too, and needs none of these
    from torch import Tensor

    from cityscribe.predict.decode import Talk
    from cityscribe.predict.local import Engine
    from cityscribe.predict.prompts import Conversation, Prompt

PRIMITIVES = "64"
"""Matrix products of bfloat16 on a CPU that are kept ready, one for each shape. oneDNN keeps 1,024 unless told
otherwise, and requests bring ever new lengths: memory would grow by half a gigabyte until that many are there."""

UNFINISHED = "\ufffd"
"""What a tokenizer decodes bytes to that are not yet a whole character."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One conversation to be answered."""

    id: int
    messages: tuple[dict[str, Any], ...]
    images: tuple[Path, ...]
    max_tokens: int
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    grammar: str = ""  # what the answer can be (`cityscribe.predict.grammars`); empty: anything


@dataclass(frozen=True, slots=True)
class Ready:
    context: int  # tokens of a question and its answer together; 0 where the model names no limit


@dataclass(frozen=True, slots=True)
class Piece:
    id: int
    text: str


@dataclass(frozen=True, slots=True)
class Said:
    id: int
    prompt_tokens: int
    tokens: int
    finish: Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Refused:
    id: int
    status: int
    code: str
    message: str
    at: tuple[str, ...] = ()  # where in the code, for the log; of bugs only


def hold_model(connection: Connection, checkpoint: str, drafts: Path, settings: Settings) -> None:
    """Load a checkpoint, then answer what comes. Drafts are taken from the training answers in `drafts`."""
    logging.disable(logging.WARNING)
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", PRIMITIVES)  # read when the first one is made
    from cityscribe.predict.local import Engine
    from cityscribe.predict.stage import load_engine

    try:
        engine = load_engine(checkpoint, drafts, settings)
        assert isinstance(engine, Engine)
        _warm_up(engine)
    except InputError as error:
        connection.send(str(error))
        return
    text_config = engine.model.config.get_text_config()
    context = getattr(text_config, "max_position_embeddings", None) or 0  # not every architecture has such a limit
    connection.send(Ready(context))
    while (batch := connection.recv()) is not None:
        if isinstance(batch, list):  # otherwise: a request that was given up as its answer was finished
            _Batch(connection, engine, context).answer(batch)


def _warm_up(engine: Engine) -> None:
    """Answer one question about an image, so that the first client does not wait for checks and lazy loading."""
    from PIL import Image

    from cityscribe.predict.prompts import Conversation

    with tempfile.TemporaryDirectory() as folder:
        grey = Path(folder) / "grey.png"
        Image.new("RGB", (64, 64), (128, 128, 128)).save(grey)
        asked = message("user", image_block(), text_block("What is this?"))
        engine.answer([Conversation((asked,), (grey,), max_new_tokens=2)])
    engine.forget()


class _Batch:
    """One batch on its way: what has been said of each answer, and who still waits for it."""

    def __init__(self, connection: Connection, engine: Engine, context: int) -> None:
        self.connection, self.engine, self.context = connection, engine, context
        self.given_up: set[int] = set()
        self.voices: dict[int, _Voice] = {}  # by id() of the talk

    def answer(self, batch: Sequence[Asked]) -> None:
        """Say all of a batch. A bug ends its requests, not the process."""
        import torch

        from cityscribe.serve.log import places

        waiting = {asked.id: asked for asked in batch}
        try:
            with torch.inference_mode():
                self._answer([asked for asked in batch if self._fits_template(asked, waiting)], waiting)
        except Exception as error:
            self.engine.forget()
            out_of_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
            status, code = (503, "out_of_memory") if out_of_memory else (500, "internal")
            words = "there is not enough memory for this now" if out_of_memory else "the model failed on this batch"
            for id_ in waiting:
                self.connection.send(Refused(id_, status, code, words, (type(error).__name__, *places(error))))
        finally:
            # They know this batch, and it knows them: images would stay until the collector finds the circle.
            self.voices.clear()

    def _fits_template(self, asked: Asked, waiting: dict[int, Asked]) -> bool:
        for entry in asked.messages:
            for token in self.engine.special:
                # In a prompt it would become a real one: the end of a turn, or an image that is not there.
                if token in text_of(entry):
                    words = f"a message holds {token}, a control token of the model"
                    self._refuse(asked, waiting, "special_token", words)
                    return False
        return True

    def _refuse(self, asked: Asked, waiting: dict[int, Asked], code: str, words: str, status: int = 422) -> None:
        del waiting[asked.id]
        self.connection.send(Refused(asked.id, status, code, words))

    def _answer(self, batch: Sequence[Asked], waiting: dict[int, Asked]) -> None:
        from cityscribe.predict.decode import Talk, answer_prompts
        from cityscribe.predict.plain import generate_one

        talks = []
        for asked, prompt in self._read(batch, waiting):
            if self.context and len(prompt.input_ids) + asked.max_tokens > self.context:
                words = f"{len(prompt.input_ids)} tokens with max_tokens {asked.max_tokens} exceed {self.context}"
                self._refuse(asked, waiting, "context_length_exceeded", words)
                continue
            try:
                guide = self.engine.guide(asked.grammar)
            except InputError as error:
                self._refuse(asked, waiting, "bad_schema", str(error), status=400)
                continue
            talk = Talk(prompt, asked.max_tokens, guide=guide)
            self.voices[id(talk)] = _Voice(asked, talk, self)
            talks.append(talk)
        if not talks:
            return
        if self.engine.shares(talks[0].prompt):
            engine = self.engine
            answer_prompts(
                engine.model, talks, ends=engine.ends, memory=engine.memory, pick=self._pick, drafts=engine.drafts
            )
        for talk in talks:
            voice = self.voices[id(talk)]
            if not talk.said:  # a model that does not decode on shared prefixes
                generate_one(
                    self.engine.model,
                    talk,
                    ends=self.engine.ends,
                    pad=self.engine.processor.tokenizer.pad_token_id,
                    temperature=voice.asked.temperature,
                    top_p=voice.asked.top_p,
                    seed=voice.seed,
                    given_up=functools.partial(self._is_given_up, talk),
                )
            if voice.asked.id in waiting:
                del waiting[voice.asked.id]
                voice.finish()

    def _read(self, batch: Sequence[Asked], waiting: dict[int, Asked]) -> list[tuple[Asked, Prompt]]:
        """The prompts of a batch; what the model's processor refuses is told to its client alone."""
        try:
            return list(zip(batch, self.engine.read([_conversation(asked) for asked in batch]), strict=True))
        except InputError:
            pass
        found = []
        for asked in batch:
            try:
                found.append((asked, self.engine.read([_conversation(asked)])[0]))
            except InputError:
                words = "the model's chat template refuses this order of roles or these images"
                self._refuse(asked, waiting, "template", words)
        return found

    def _pick(self, talk: Talk, logits: Tensor) -> int:  # [vocabulary]
        from cityscribe.predict.sampling import next_token

        if self._is_given_up(talk):
            return self.engine.ends[0]
        voice = self.voices[id(talk)]
        token = next_token(
            talk, logits, penalty=self.engine.penalty, temperature=voice.asked.temperature, top_p=voice.asked.top_p
        )
        return self.engine.ends[0] if voice.hears(token) else token

    def _is_given_up(self, talk: Talk) -> bool:
        while self.connection.poll():
            self.given_up.add(self.connection.recv())
        return self.voices[id(talk)].asked.id in self.given_up


class _Voice:
    """One answer as it is said: which part of its text is final."""

    def __init__(self, asked: Asked, talk: Talk, batch: _Batch) -> None:
        import torch

        from cityscribe.predict.sampling import seed_of

        self.asked, self.talk, self.batch = asked, talk, batch
        self.ends = batch.engine.ends
        self.sent = ""
        self.stopped = False
        self.seed = seed_of(asked.seed, talk.prompt)
        talk.generator = torch.Generator().manual_seed(self.seed)

    def hears(self, token: int) -> bool:
        """Take a token and say what is new and final of the text. True where a stop string has been said."""
        if token in self.ends:
            return False
        text, self.stopped = self._text([*self.talk.said, token])
        if not self.stopped:
            text = text[: len(text) - self._held_back(text)]
        self._say(text)
        return self.stopped

    def finish(self) -> None:
        """Say the rest of the text and how the answer ended."""
        said = self.talk.said
        count = next((n + 1 for n, token in enumerate(said) if token in self.ends), len(said))
        id_, prompt_tokens = self.asked.id, len(self.talk.prompt.input_ids)
        if self.talk.bad:
            words = "the model's logits are not numbers: its weights are broken, or overflow in this precision"
            self.batch.connection.send(Refused(id_, 500, "non_finite", words))
            return
        if not self.stopped:
            text, self.stopped = self._text(said[:count])
            self._say(text.rstrip())
        finish: Literal["stop", "length"] = "stop" if self.stopped or said[count - 1] in self.ends else "length"
        self.batch.connection.send(Said(id_, prompt_tokens, count, finish))

    def _text(self, tokens: list[int]) -> tuple[str, bool]:
        """The text of tokens, up to a stop string, and whether there is one."""
        text = self.batch.engine.text(tokens).lstrip()
        places = [place for stop in self.asked.stop if (place := text.find(stop)) >= 0]
        return (text[: min(places)].rstrip(), True) if places else (text, False)

    def _held_back(self, text: str) -> int:
        """How many characters at the end may still change: white space, half a character, half a stop string."""
        final = len(text.rstrip().rstrip(UNFINISHED).rstrip())
        for stop in (*self.asked.stop, *self.batch.engine.special):
            for length in range(min(len(stop) - 1, len(text)), 0, -1):
                if text.endswith(stop[:length]):
                    final = min(final, len(text[:-length].rstrip()))
                    break
        return len(text) - final

    def _say(self, text: str) -> None:
        if len(text) > len(self.sent) and text.startswith(self.sent):
            self.batch.connection.send(Piece(self.asked.id, text[len(self.sent) :]))
            self.sent = text


def _conversation(asked: Asked) -> Conversation:
    from cityscribe.predict.prompts import Conversation

    return Conversation(asked.messages, asked.images, asked.max_tokens)
