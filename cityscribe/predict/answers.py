"""What engines answer, and what an engine is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from cityscribe.predict.prompts import Conversation


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered. `problem` says why the text may be less than an answer.

    empty: nothing was said; cut: it was still talking after `max_new_tokens`; non-finite: its logits overflowed or were
    not numbers, the text is what it had said until then.
    """

    text: str
    prompt_tokens: int  # image tokens counted
    tokens: int  # the end token counted
    problem: Literal["", "empty", "cut", "non-finite"] = ""
    steps: int = field(default=0, compare=False)  # passes of the model that it took; fewer than tokens with drafts


class Answering(Protocol):
    """An engine."""

    def answer(self, conversations: Sequence[Conversation]) -> list[Answer]:
        """Answers in the order of the conversations."""
        ...

    def forget(self) -> None:
        """Let the next call begin as the first did: what it answers must not depend on the calls before."""
        ...
