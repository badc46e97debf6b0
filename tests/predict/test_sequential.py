"""The order of the questions, and what stands in the conversation when one is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cityscribe.predict.answers import Answer
from cityscribe.predict.local import Engine
from cityscribe.predict.prompts import Conversation
from cityscribe.predict.sequential import ORDERS, Scene, ask
from cityscribe.records import image_block, message, text_block, text_of
from tests.models.test_load import picture
from tests.predict.test_local import engine_of

Checkpoint = Callable[[str], Path]
QUESTIONS = {"pedestrian": "Describe the pedestrian.", "vehicle": "Describe the vehicle, please."}


class Listening(Engine):
    """Keeps what it was asked."""

    def answer(self, conversations: Sequence[Conversation]) -> list[Answer]:
        self.__dict__.setdefault("heard", []).extend(conversations)
        return super().answer(conversations)


@pytest.fixture
def engine(tiny: Checkpoint) -> Listening:
    made = engine_of(tiny("llava"), max_new_tokens=5)
    return Listening(made.model, made.processor, made.settings)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    images = (tmp_path / "local.png", tmp_path / "global.png")
    for number, path in enumerate(images):
        picture(number).save(path)
    return Scene(images, QUESTIONS)


@pytest.mark.parametrize("first", ["vehicle", "pedestrian"])
def test_the_second_question_follows_the_first_answer(first: str, engine: Listening, scene: Scene) -> None:
    second = "pedestrian" if first == "vehicle" else "vehicle"
    (answers,) = ask(engine, [scene], f"{first}-{second}")
    opening = message("user", image_block(), image_block(), text_block(QUESTIONS[first]))
    said = message("assistant", text_block(answers[first].text))
    again = message("user", text_block(QUESTIONS[second]))
    heard = engine.__dict__["heard"]
    assert [talk.messages for talk in heard] == [(opening,), (opening, said, again)]
    assert [talk.images for talk in heard] == [scene.images] * 2
    assert answers[second] == engine.answer([Conversation((opening, said, again), scene.images)])[0]


def test_independent_questions_know_nothing_of_each_other(engine: Listening, scene: Scene) -> None:
    (answers,) = ask(engine, [scene], "independent")
    heard = engine.__dict__["heard"]
    assert [[text_of(entry) for entry in talk.messages] for talk in heard] == [
        [QUESTIONS["vehicle"]],
        [QUESTIONS["pedestrian"]],
    ]
    assert all(len(talk.images) == 2 for talk in heard)
    (alone,) = ask(engine, [Scene(scene.images, {"pedestrian": QUESTIONS["pedestrian"]})], "vehicle-pedestrian")
    assert alone == {"pedestrian": answers["pedestrian"]}


@pytest.mark.parametrize("order", ORDERS)
def test_scenes_do_not_mix(order: str, engine: Listening, scene: Scene) -> None:
    blind = Scene((), {"vehicle": "Describe the vehicle.", "pedestrian": "Who walks?"})
    one_role = Scene(scene.images[:1], {"pedestrian": "Who?"})
    together = ask(engine, [scene, blind, one_role], order)
    assert together == [ask(engine, [each], order)[0] for each in (scene, blind, one_role)]
    assert set(together[2]) == {"pedestrian"}
