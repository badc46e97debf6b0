"""Decoders with layers that carry a state, or do not see all, answer on shared prefixes what `generate` says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Request
from cityscribe.models.parts import vision_tower
from cityscribe.records import image_block, message, text_block
from tests.decoders import RECURRENT, WINDOWS, llava_of
from tests.engine.test_local import answers_of, ask, draft_from, plain, tokens_of
from tests.models.test_load import picture

QUESTIONS = ("Where?", "Describe the vehicle in the blue box, 20 km/h.", "Who is near it?")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Request]:
    """Three questions about one image, three about two images, one about none."""
    folder = tmp_path_factory.mktemp("images")
    paths = tuple(folder / f"{number}.png" for number in range(3))
    for number, path in enumerate(paths):
        picture(number, size=(40, 32)).save(path)
    asked = [ask(image_block(), text_block(text), media=paths[:1]) for text in QUESTIONS]
    asked += [ask(image_block(), image_block(), text_block(text), media=paths[1:]) for text in QUESTIONS]
    return [*asked, ask(text_block("And the weather?"))]


@pytest.mark.parametrize("kind", [*RECURRENT, *WINDOWS])
def test_answers_drafts_and_later_turns_are_those_of_generate(kind: str, scenes: list[Request]) -> None:
    model, processor = llava_of({**RECURRENT, **WINDOWS}[kind])
    engine = LocalEngine(model, processor, batch_size=3)
    expected = [plain(engine, request) for request in scenes]
    assert len({tuple(tokens) for tokens in expected}) > 3
    assert tokens_of(answers_of(engine, scenes)) == expected
    assert engine.shares([])

    engine.forget()
    engine.drafts = draft_from(expected)
    drafted = answers_of(engine, scenes)
    assert tokens_of(drafted) == expected
    assert sum(answer.steps for answer in drafted) < 0.8 * sum(answer.tokens for answer in drafted)

    # The next turn, and another question about the same images, take the images from memory.
    said = message("assistant", text_block(engine.text(expected[0])))
    later = [
        replace(scenes[0], messages=(*scenes[0].messages, said, message("user", text_block("And now?")))),
        replace(
            scenes[3], messages=(message("user", image_block(), image_block(), text_block("What else is there?")),)
        ),
    ]
    seen = []
    tower = vision_tower(model)
    assert tower is not None
    hook = tower.register_forward_hook(lambda *_: seen.append(1))
    found = tokens_of(answers_of(engine, later))
    hook.remove()
    assert not seen
    assert found == [plain(engine, request) for request in later]


def test_a_shared_prefix_is_read_from_a_mark_behind_the_images(scenes: list[Request]) -> None:
    engine = LocalEngine(*llava_of(RECURRENT["gated delta rule"]))
    answers_of(engine, scenes[:1])  # alone: what it computed ends in its own question
    passes: list[int] = []
    hook = engine.model.register_forward_pre_hook(
        lambda _, args, kwargs: passes.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    (prompt, _) = engine.read([scenes[1], scenes[0]])
    answers_of(engine, scenes[1:2])
    hook.remove()
    assert passes[0] < prompt.length - prompt.media_end + 1  # type: ignore[union-attr]
