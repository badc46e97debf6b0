"""What runs in the process that holds the model: it answers batches and says each piece of text as it comes.

    in    Asked, ... (a list)        a batch; the next one is sent when this one is answered
          the id of a request        nobody waits for it any more
          None                       end

    out   Ready                      once, when the model is loaded and has answered
          str                        why it cannot be loaded, instead of that
          Piece, Said, Refused       about one request; one of the last two ends it

Answers are those of `cityscribe.engine.local.LocalEngine`; what fails, fails alone.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cityscribe.engine.members import Setup
from cityscribe.engine.request import Answer, AnswerProblem, Listener, Request
from cityscribe.files import InputError
from cityscribe.records import image_block, message, text_block, text_of
from cityscribe.serve.counting import count_images

if TYPE_CHECKING:  # the process that listens imports this module too, and needs none of these
    from cityscribe.engine.local import LocalEngine

PRIMITIVES = "64"
"""Matrix products of bfloat16 on a CPU that are kept ready, one for each shape. oneDNN keeps 1,024 unless told
otherwise, and requests bring ever new lengths: memory would grow by half a gigabyte until that many are there."""

REFUSALS: dict[AnswerProblem, tuple[int, str, str]] = {
    "refused": (422, "template", "the model's chat template refuses this order of roles or these images"),
    "grammar": (400, "bad_schema", ""),
    "too-long": (422, "context_length_exceeded", ""),
    "out-of-memory": (503, "out_of_memory", "there is not enough memory for this now"),
    "failed": (500, "internal", "the model failed on this request"),
    "non-finite": (
        500,
        "non_finite",
        "the model's logits are not numbers: its weights are broken, or overflow in this precision",
    ),
}
"""Status, code and words for a request without an answer; without words the engine's reason is told."""


@dataclass(frozen=True, slots=True)
class NumberedRequest:
    """One request, and the id by which it is spoken of."""

    id: int
    request: Request


@dataclass(frozen=True, slots=True)
class ModelReady:
    context: int  # tokens of a question and its answer together; 0 where the model names no limit


@dataclass(frozen=True, slots=True)
class Piece:
    id: int
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    id: int
    prompt_tokens: int
    tokens: int
    finish: Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class RequestRefused:
    id: int
    status: int
    code: str
    message: str
    at: tuple[str, ...] = ()  # where in the code, for the log; of bugs only


def hold_model(connection: Connection, checkpoint: str, drafts: Path, setup: Setup, sizes: Connection) -> None:
    """Load a checkpoint, then answer what comes. Drafts are taken from the training answers in `drafts`. Over `sizes`
    it tells how many tokens images are (`counting`)."""
    logging.disable(logging.WARNING)
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", PRIMITIVES)  # read when the first one is made
    from cityscribe.engine.local import load
    from cityscribe.predict.stage import training_answers

    try:
        engine = load(checkpoint, setup, training_answers(drafts))
        _warm_up(engine)
    except InputError as error:
        connection.send(str(error))
        return
    text_config = engine.model.config.get_text_config()
    engine.context = (
        getattr(text_config, "max_position_embeddings", None) or 0
    )  # not every architecture has such a limit
    threading.Thread(target=count_images, args=(sizes, engine.processor), daemon=True).start()
    connection.send(ModelReady(engine.context))
    while (batch := connection.recv()) is not None:
        if isinstance(batch, list):  # otherwise: a request that was given up as its answer was finished
            answer_batch(connection, engine, batch)


def _warm_up(engine: LocalEngine) -> None:
    """Answer one question about an image, so that the first client does not wait for checks and lazy loading."""
    from PIL import Image

    asked = message("user", image_block(), text_block("What is this?"))
    engine.answer([Request((asked,), (Image.new("RGB", (64, 64), (128, 128, 128)),), max_tokens=2)])
    engine.forget()


def answer_batch(connection: Connection, engine: LocalEngine, batch: Sequence[NumberedRequest]) -> None:
    """Say all of a batch."""
    taken = []
    for asked in batch:
        token = _control_token(asked.request, engine)
        if token:
            words = f"a message holds {token}, a control token of the model"
            connection.send(RequestRefused(asked.id, 422, "special_token", words))
        else:
            taken.append(asked)
    telling = _Telling(connection, [asked.id for asked in taken])
    try:
        engine.answer([asked.request for asked in taken], telling)
    except OSError:  # nobody listens any more
        raise
    except Exception as error:
        from cityscribe.engine.failure import failure_of

        engine.forget()
        failure = failure_of(error)
        telling.refuse_rest(Answer("", 0, 0, failure.problem, failure.reason, at=failure.at))


def _control_token(request: Request, engine: LocalEngine) -> str:
    """A control token of the model in the text of a request: in a prompt it would become a real one, the end of a turn
    or an image that is not there."""
    text = "\n".join(text_of(entry) for entry in request.messages)
    return next((token for token in engine.special if token in text), "")


class _Telling(Listener):
    """Tells of the answers to a batch as they come, and hears who does not wait any more."""

    def __init__(self, connection: Connection, ids: Sequence[int]) -> None:
        self._connection, self._ids = connection, ids
        self._open = set(ids)
        self._given_up: set[int] = set()

    def piece(self, request: int, sample: int, text: str) -> None:
        self._connection.send(Piece(self._ids[request], text))

    def finished(self, request: int, answers: Sequence[Answer]) -> None:
        self._end(self._ids[request], answers[0])

    def wanted(self, request: int) -> bool:
        while self._connection.poll():
            self._given_up.add(self._connection.recv())
        return self._ids[request] not in self._given_up

    def refuse_rest(self, answer: Answer) -> None:
        """End all requests that have no end yet."""
        for id_ in [id_ for id_ in self._ids if id_ in self._open]:
            self._end(id_, answer)

    def _end(self, id_: int, answer: Answer) -> None:
        self._open.discard(id_)
        if answer.problem in REFUSALS:
            status, code, words = REFUSALS[answer.problem]
            self._connection.send(RequestRefused(id_, status, code, words or answer.reason, answer.at))
            return
        finish: Literal["stop", "length"] = "stop" if answer.stopped else "length"
        self._connection.send(Finished(id_, answer.prompt_tokens, answer.tokens, finish))
