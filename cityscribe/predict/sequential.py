"""The order in which the road users of a phase are asked about (sequential questioning, section 3.4 of CityLLaVA).

The vehicle comes first; its description stays in the conversation when the pedestrian is asked about, and the images
are not shown a second time. Other orders are entries of `orders.ORDERS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cityscribe.predict.answers import Answer, Answering
from cityscribe.predict.orders import ORDERS
from cityscribe.predict.prompts import Conversation
from cityscribe.records import image_block, message, text_block


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to ask about one set of images: the question about each road user."""

    images: tuple[Path, ...]  # none for a blind model
    questions: Mapping[str, str]  # role -> question


def ask(engine: Answering, scenes: Sequence[Scene], order: str) -> list[dict[str, Answer]]:
    """Every question of every scene, in an order of `ORDERS`. Returns role -> answer for each scene.

    A role that a scene has no question about is passed over; the images stand before the first question asked. The
    first questions of all conversations go to the engine together, then the second ones, so that it sees at once all
    that is asked about a scene, and next what continues it.
    """
    answers: list[dict[str, Answer]] = [{} for _ in scenes]
    talks = [_Talk(scene, roles, answers[n]) for n, scene in enumerate(scenes) for roles in ORDERS[order]]
    while True:
        asked = [talk for talk in talks if talk.asks()]
        if not asked:
            return answers
        replies = engine.answer([Conversation(talk.said, talk.scene.images) for talk in asked])
        for talk, reply in zip(asked, replies, strict=True):
            talk.hears(reply)


class _Talk:
    """One conversation of an order about one scene."""

    def __init__(self, scene: Scene, roles: Sequence[str], answers: dict[str, Answer]) -> None:
        self.scene = scene
        self.said: tuple[dict[str, Any], ...] = ()
        self._answers = answers
        self._waiting = [role for role in roles if role in scene.questions]

    def asks(self) -> bool:
        """Put the next question, if there is one."""
        if not self._waiting:
            return False
        shown = [image_block() for _ in self.scene.images] if not self.said else []
        self.said += (message("user", *shown, text_block(self.scene.questions[self._waiting[0]])),)
        return True

    def hears(self, reply: Answer) -> None:
        self._answers[self._waiting.pop(0)] = reply
        self.said += (message("assistant", text_block(reply.text)),)
