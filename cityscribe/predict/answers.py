"""What engines answer, and what an engine is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from cityscribe.predict.prompts import Conversation


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered. `problem` says why the text may be less than an answer.

    empty: nothing was said; cut: it was still talking after `max_new_tokens`, or its grammar grew too large to follow;
    non-finite: its logits overflowed or were not numbers, the text is what it had said until then. Times are seconds
    from when its batch was begun, images that are not known yet included; they do not count when answers are compared.
    """

    text: str
    prompt_tokens: int  # image tokens counted
    tokens: int  # the end token counted
    problem: Literal["", "empty", "cut", "non-finite"] = ""
    steps: int = field(default=0, compare=False)  # passes of the model that it took; fewer than tokens with drafts
    first_s: float | None = field(default=None, compare=False)  # to the first token; None where it came as a whole
    seconds: float = field(default=0.0, compare=False)  # to the last token


class Answering(Protocol):
    """An engine."""

    def answer(self, conversations: Sequence[Conversation]) -> list[Answer]:
        """Answers in the order of the conversations."""
        ...

    def forget(self) -> None:
        """Let the next call begin as the first did: what it answers must not depend on the calls before."""
        ...
