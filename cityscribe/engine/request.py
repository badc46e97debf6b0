"""What is asked of an engine and what it gives back.

    engine = open_engine("local", "runs/NAME/model", Setup())
    ((answer,),) = engine.answer([Request(messages, media)])
    ((yes, no),) = engine.score([Request(messages, media)], [["yes", "no"]])

Importing it needs no library of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from cityscribe.records import SampleMessage

if TYPE_CHECKING:
    from PIL import Image

    from cityscribe.engine.decoding import Contrast

AnswerProblem = Literal["", "empty", "cut", "non-finite", "refused", "grammar", "too-long", "out-of-memory", "failed"]

UNANSWERED: tuple[AnswerProblem, ...] = ("refused", "grammar", "too-long", "out-of-memory", "failed")
"""Problems of a request that was not answered at all; `reason` says why."""


MediaRegion = tuple[int, tuple[float, float, float, float]]
"""An image of a conversation by its number, and a part of it as left, top, right, bottom, each 0 to 1."""

WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. Equal requests draw equal answers, whatever is asked before or beside them."""

    temperature: float = 0.0  # 0 takes the likeliest token
    top_p: float = 1.0  # draw from the likeliest tokens that make up this share
    repetition_penalty: float | None = None  # None takes that of the checkpoint
    seed: int = 0  # of the draws


@dataclass(frozen=True, slots=True)
class Request:
    """A conversation that ends with a question, and how it is to be answered.

    The n-th image block of the messages shows `media[n]`: a file, or an image in memory. A video block names its file
    itself (`cityscribe.records.video_block`), relative to the working directory or absolutely. A grammar is made by
    `cityscribe.engine.grammars`: `one_of(options)`, `json_schema(schema)`.
    """

    messages: tuple[SampleMessage, ...]
    media: tuple[Path | Image.Image, ...] = ()
    max_tokens: int = 256  # of an answer
    sampling: Sampling = Sampling()
    stop: tuple[str, ...] = ()  # an answer ends before the first of these texts
    grammar: str = ""  # what an answer can be; empty: anything
    samples: int = 1  # how many answers are wanted; without a temperature they are all equal
    logprobs: bool = False  # whether the log-probability of each token is wanted
    contrast: Contrast | None = None  # how the logits are corrected by those without media; None: not at all


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to a request. `problem` says why the text may be less than an answer.

    empty: nothing was generated; cut: it was not finished after `max_tokens`, or its grammar grew too large to follow,
    or nobody wanted it any more; non-finite: its logits overflowed or were not numbers, the text is what came before.
    The others (`UNANSWERED`) come with no text. refused: the messages or media cannot be shown to the model; grammar:
    it cannot be followed; too-long: it exceeds the context; out-of-memory, failed: computing it raised an exception.
    Times are seconds from when its batch was begun, and do not count when answers are compared.
    """

    text: str
    prompt_tokens: int  # image tokens counted
    tokens: int  # the end token counted
    problem: AnswerProblem = ""
    reason: str = ""  # of `UNANSWERED`: what went wrong, in one line
    steps: int = field(default=0, compare=False)  # passes of the model that it took; fewer than tokens with drafts
    first_s: float | None = field(default=None, compare=False)  # to the first token; None where it came as a whole
    seconds: float = field(default=0.0, compare=False)  # to the last token
    token_ids: tuple[int, ...] = field(default=(), compare=False)  # where the engine knows them
    logprobs: tuple[float, ...] = field(default=(), compare=False)  # nats a token, where they were wanted, by the
    # logits of the model as they are: before penalty, grammar and temperature
    at: tuple[str, ...] = field(default=(), compare=False)  # of "failed": the exception and the lines of code

    @property
    def stopped(self) -> bool:
        """Whether it came to its own end or to a stop text."""
        return self.problem in ("", "empty")


@dataclass(frozen=True, slots=True)
class Score:
    """How likely a model is to answer with a given text. With a problem there are no log-probabilities."""

    logprobs: tuple[float, ...]  # nats, of each token of the text and of the end token where it counts
    problem: AnswerProblem = ""
    reason: str = ""

    @property
    def sum(self) -> float:
        """The log-likelihood of the whole text, in nats."""
        return sum(self.logprobs)

    @property
    def mean(self) -> float:
        """A token, so that long texts have the same chance as short ones."""
        return self.sum / max(len(self.logprobs), 1)


class Listener:
    """Is told of answers on their way; a subclass overrides what it wants to know. Requests and samples are counted
    from 0 in the order of the call. What it raises ends the call."""

    def piece(self, request: int, sample: int, text: str) -> None:
        """A further part of the text of an answer, which is final."""

    def finished(self, request: int, answers: Sequence[Answer]) -> None:
        """All answers to a request; called once for each."""

    def wanted(self, request: int) -> bool:
        """Whether anybody still waits for the answers to a request; otherwise it is cut where it is."""
        return True


class Engine(Protocol):
    """A member of `cityscribe.engine.members.ENGINES`.

    No request harms another one: what is wrong with one is the `problem` of its own answers, and the others get what
    they get alone. InputError is for what makes all answers impossible, such as a server that is not there.
    """

    def answer(self, requests: Sequence[Request], listener: Listener | None = None) -> list[list[Answer]]:
        """For each request, in their order, as many answers as it wants samples."""
        ...

    def score(
        self, requests: Sequence[Request], continuations: Sequence[Sequence[str]], *, ended: bool = False
    ) -> list[list[Score]]:
        """For each request the scores of the given texts as its answer, in their order.

        The tokens of a text are those of the text by itself. With `ended` the end token counts as well: then a text
        that begins another one is not at an advantage. Raises InputError where the engine cannot tell.
        """
        ...

    def forget(self) -> None:
        """Let the next call begin as the first did, so that its answers do not depend on the calls before."""
        ...
