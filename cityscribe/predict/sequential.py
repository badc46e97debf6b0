"""The order in which the road users of a phase are asked about (sequential questioning, section 3.4 of CityLLaVA).

The vehicle comes first; its description stays in the conversation when the pedestrian is asked about, and the images
are not shown a second time. Other orders are entries of `ORDERS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cityscribe.predict.local import Answer, Conversation
from cityscribe.records import image_block, message, text_block

ORDERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "vehicle-pedestrian": (("vehicle", "pedestrian"),),
    "pedestrian-vehicle": (("pedestrian", "vehicle"),),
    "independent": (("vehicle",), ("pedestrian",)),
}
"""Conversations, each as the roles that it asks about one after the other."""


class Answering(Protocol):
    """An engine."""

    def answer(self, conversations: Sequence[Conversation]) -> list[Answer]: ...


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to ask about one set of images: the question about each road user."""

    images: tuple[Path, ...]  # none for a blind model
    questions: Mapping[str, str]  # role -> question


def ask(engine: Answering, scenes: Sequence[Scene], order: str) -> list[dict[str, Answer]]:
    """Every question of every scene, in an order of `ORDERS`. Returns role -> answer for each scene.

    A role that a scene has no question about is passed over; the images stand before the first question asked.
    """
    answers: list[dict[str, Answer]] = [{} for _ in scenes]
    for roles in ORDERS[order]:
        said: list[tuple[dict[str, Any], ...]] = [() for _ in scenes]
        for role in roles:
            asked = [index for index, scene in enumerate(scenes) if role in scene.questions]
            for index in asked:
                scene = scenes[index]
                shown = [image_block() for _ in scene.images] if not said[index] else []
                said[index] += (message("user", *shown, text_block(scene.questions[role])),)
            replies = engine.answer([Conversation(said[index], scenes[index].images) for index in asked])
            for index, reply in zip(asked, replies, strict=True):
                answers[index][role] = reply
                said[index] += (message("assistant", text_block(reply.text)),)
    return answers
