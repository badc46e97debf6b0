"""The order of the questions, and what stands in the conversation when one is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Answer, Listener, Request
from cityscribe.predict.sequential import ORDERS, AskedScene, ask
from cityscribe.records import image_block, message, text_block, text_of
from tests.engine.test_local import answers_of, engine_of
from tests.models.test_load import picture

Checkpoint = Callable[[str], Path]
QUESTIONS = {"pedestrian": "Describe the pedestrian.", "vehicle": "Describe the vehicle, please."}


ASKING = Request((), max_tokens=5)


class Recording(LocalEngine):
    """Keeps what it was asked."""

    def answer(self, requests: Sequence[Request], listener: Listener | None = None) -> list[list[Answer]]:
        self.__dict__.setdefault("asked", []).extend(requests)
        return super().answer(requests, listener)


@pytest.fixture
def engine(tiny: Checkpoint) -> Recording:
    made = engine_of(tiny("llava"))
    return Recording(made.model, made.processor)


@pytest.fixture
def scene(tmp_path: Path) -> AskedScene:
    images = (tmp_path / "local.png", tmp_path / "global.png")
    for number, path in enumerate(images):
        picture(number).save(path)
    return AskedScene(images, QUESTIONS)


@pytest.mark.parametrize("first", ["vehicle", "pedestrian"])
def test_the_second_question_follows_the_first_answer(first: str, engine: Recording, scene: AskedScene) -> None:
    second = "pedestrian" if first == "vehicle" else "vehicle"
    (answers,) = ask(engine, [scene], f"{first}-{second}", ASKING)
    opening = message("user", image_block(), image_block(), text_block(QUESTIONS[first]))
    said = message("assistant", text_block(answers[first].text))
    again = message("user", text_block(QUESTIONS[second]))
    asked = engine.__dict__["asked"]
    assert [request.messages for request in asked] == [(opening,), (opening, said, again)]
    assert [request.media for request in asked] == [scene.images] * 2
    assert [answers[second]] == answers_of(engine, [Request((opening, said, again), scene.images, max_tokens=5)])


def test_independent_questions_know_nothing_of_each_other(engine: Recording, scene: AskedScene) -> None:
    (answers,) = ask(engine, [scene], "independent", ASKING)
    asked = engine.__dict__["asked"]
    assert [[text_of(entry) for entry in request.messages] for request in asked] == [
        [QUESTIONS["vehicle"]],
        [QUESTIONS["pedestrian"]],
    ]
    assert all(len(request.media) == 2 for request in asked)
    (alone,) = ask(
        engine, [AskedScene(scene.images, {"pedestrian": QUESTIONS["pedestrian"]})], "vehicle-pedestrian", ASKING
    )
    assert alone == {"pedestrian": answers["pedestrian"]}


@pytest.mark.parametrize("order", ORDERS)
def test_scenes_do_not_mix(order: str, engine: Recording, scene: AskedScene) -> None:
    blind = AskedScene((), {"vehicle": "Describe the vehicle.", "pedestrian": "Who walks?"})
    one_role = AskedScene(scene.images[:1], {"pedestrian": "Who?"})
    together = ask(engine, [scene, blind, one_role], order, ASKING)
    assert together == [ask(engine, [each], order, ASKING)[0] for each in (scene, blind, one_role)]
    assert set(together[2]) == {"pedestrian"}
