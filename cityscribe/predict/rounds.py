"""Questions of which later ones wait for the answers to earlier ones, asked of an engine in rounds.

All that can be asked at once goes to the engine in one call, whatever it is about, so that it computes an image that
several questions show once; what continues them comes in the next call, while the image is still known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cityscribe.engine.request import Answer, Engine, Request


class Inquiry(Protocol):
    """What is asked about one thing, step by step."""

    def due(self) -> Sequence[Request]:
        """What can be asked now; nothing where the inquiry has ended."""
        ...

    def take(self, answers: Sequence[Sequence[Answer]]) -> None:
        """The answers to what was due, in its order."""
        ...


def ask_in_rounds(engine: Engine, inquiries: Sequence[Inquiry]) -> None:
    """Ask until no inquiry has anything left."""
    while True:
        due = [(inquiry, list(inquiry.due())) for inquiry in inquiries]
        asked = [request for _, requests in due for request in requests]
        if not asked:
            return
        answers = iter(engine.answer(asked))
        for inquiry, requests in due:
            if requests:
                inquiry.take([next(answers) for _ in requests])
