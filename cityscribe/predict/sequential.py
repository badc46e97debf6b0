"""The order in which the road users of a phase are asked about (sequential questioning, section 3.4 of CityLLaVA).

The vehicle comes first; its description stays in the conversation when the pedestrian is asked about, and the images
are not shown a second time. Other orders are entries of `orders.ORDERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cityscribe.engine.request import Answer, Engine, Request
from cityscribe.predict.orders import ORDERS
from cityscribe.predict.rounds import ask_in_rounds
from cityscribe.records import MessageBlock, SampleMessage, image_block, message, text_block


@dataclass(frozen=True, slots=True)
class AskedScene:
    """What there is to ask about one set of images: the question about each road user."""

    images: tuple[Path, ...]  # none for a blind model
    questions: Mapping[str, str]  # role -> question
    videos: tuple[MessageBlock, ...] = ()  # video blocks, named by their whole paths; before the images


Choose = Callable[[int, str, tuple[SampleMessage, ...], Sequence[Answer]], Answer]
"""Which of the answers to a question is given: by the number of the scene, the role, and the conversation so far."""


def first_of(scene: int, role: str, messages: tuple[SampleMessage, ...], answers: Sequence[Answer]) -> Answer:
    return answers[0]


def ask(
    engine: Engine, scenes: Sequence[AskedScene], order: str, asking: Request, choose: Choose = first_of
) -> list[dict[str, Answer]]:
    """Every question of every scene, in an order of `ORDERS`. Returns role -> answer for each scene.

    `asking` says how answers are to be made; its messages and media are replaced. `choose` gives one of several.

    A role that a scene has no question about is passed over; the images stand before the first question asked. The
    first questions of all conversations go to the engine together, then the second ones, so that it sees at once all
    that is asked about a scene, and next what continues it.
    """
    answers: list[dict[str, Answer]] = [{} for _ in scenes]
    conversations = [
        _Conversation(n, scene, roles, answers[n], asking, choose)
        for n, scene in enumerate(scenes)
        for roles in ORDERS[order]
    ]
    ask_in_rounds(engine, conversations)
    return answers


class _Conversation:
    """One conversation of an order about one scene."""

    def __init__(
        self,
        number: int,
        scene: AskedScene,
        roles: Sequence[str],
        answers: dict[str, Answer],
        asking: Request,
        choose: Choose,
    ) -> None:
        self.number, self.scene, self.asking, self.choose = number, scene, asking, choose
        self.messages: tuple[SampleMessage, ...] = ()
        self._answers = answers
        self._waiting = [role for role in roles if role in scene.questions]

    def due(self) -> list[Request]:
        """The next question, if there is one."""
        if not self._waiting:
            return []
        shown = [*self.scene.videos, *(image_block() for _ in self.scene.images)] if not self.messages else []
        self.messages += (message("user", *shown, text_block(self.scene.questions[self._waiting[0]])),)
        return [replace(self.asking, messages=self.messages, media=self.scene.images)]

    def take(self, answers: Sequence[Sequence[Answer]]) -> None:
        role = self._waiting.pop(0)
        answer = self.choose(self.number, role, self.messages, answers[0])
        self._answers[role] = answer
        self.messages += (message("assistant", text_block(answer.text)),)
