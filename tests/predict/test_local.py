"""The local engine says, token for token, what plain `generate` says to each conversation alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LogitsProcessor, LogitsProcessorList

from cityscribe.files import InputError
from cityscribe.media.images import open_image
from cityscribe.models.load import load_model, load_processor
from cityscribe.models.parts import decoder, vision_tower
from cityscribe.predict import attention
from cityscribe.predict.answers import Answer
from cityscribe.predict.decode import common_length
from cityscribe.predict.drafts import Drafts
from cityscribe.predict.grammars import json_schema, one_of
from cityscribe.predict.local import Engine
from cityscribe.predict.prompts import Conversation
from cityscribe.predict.settings import PredictSettings
from cityscribe.records import image_block, message, text_block
from tests.models.test_load import picture
from tests.tiny_models import FAMILIES

Checkpoint = Callable[[str], Path]
SHARING = [family for family in FAMILIES if family != "gemma3"]
"""Families that decode on shared prefixes."""


class Recording(Engine):
    """Keeps the tokens that it decodes, because random models say bytes that no text can hold."""

    def _decode(self, said: list[int], prompt_tokens: int, bad: bool, steps: int = 0) -> Answer:
        answer = super()._decode(said, prompt_tokens, bad, steps)
        self.__dict__.setdefault("tokens", {})[answer] = said[: answer.tokens]
        return answer


def engine_of(folder: Path, **settings: Any) -> Recording:
    chosen = PredictSettings(**{"max_new_tokens": 10, "batch_size": 4, "precision": "fp32", **settings})
    return Recording(load_model(folder, dtype=torch.float32), load_processor(folder), chosen, seed=7)


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> list[Conversation]:
    """Conversations of all lengths: without an image, with one, with two, with something said before."""
    folder = tmp_path_factory.mktemp("images")
    paths = tuple(folder / f"{number}.png" for number in range(5))
    for number, path in enumerate(paths):
        picture(number, size=(40 + 8 * number, 32)).save(path)
    questions = ["Where?", "Describe the vehicle in the blue box, 20 km/h.", "And the weather?", "Who is near it?"]
    talks = [Conversation((message("user", text_block(question)),)) for question in questions]
    for number, question in enumerate(questions):
        shown = [image_block() for _ in range(1 + number % 2)]
        images = paths[number : number + len(shown)]
        first = message("user", *shown, text_block(question))
        talks.append(Conversation((first,), images))
        said = message("assistant", text_block("On the left side, far away."))
        talks.append(Conversation((first, said, message("user", text_block(questions[-1 - number]))), images))
    return talks


@torch.inference_mode()
def plain(engine: Engine, talk: Conversation) -> list[int]:
    text = engine.processor.apply_chat_template(list(talk.messages), add_generation_prompt=True)
    images = [[open_image(path) for path in talk.images]] if talk.images else None
    inputs = engine.processor(text=[text], images=images, return_tensors="pt")
    most = talk.max_new_tokens or engine.settings.max_new_tokens
    masked = LogitsProcessorList([Masked(engine, talk.grammar)] if talk.grammar else [])
    ids = engine.model.generate(**inputs, max_new_tokens=most, do_sample=False, logits_processor=masked)
    return ids[0, inputs["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_mixed_batches_equal_plain_generate_one_by_one(
    family: str, tiny: Checkpoint, talks: list[Conversation]
) -> None:
    engine = engine_of(tiny(family))
    expected = [plain(engine, talk) for talk in talks]
    assert len({tuple(tokens) for tokens in expected}) > 2, "a model that always says the same proves nothing"
    answers = engine.answer(talks)
    assert [engine.__dict__["tokens"][answer] for answer in answers] == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_answers_and_repeats_itself(family: str, tiny: Checkpoint, talks: list[Conversation]) -> None:
    model = load_model(tiny(family), dtype=torch.bfloat16)
    settings = PredictSettings(max_new_tokens=4, batch_size=4)
    engine = Engine(model, load_processor(tiny(family)), settings)
    answers = engine.answer(talks[4:8])
    assert all(answer.tokens and answer.problem != "non-finite" for answer in answers)
    assert engine.answer(talks[4:8]) == answers


def test_answers_end_with_an_end_token(tiny: Checkpoint, talks: list[Conversation]) -> None:
    first = engine_of(tiny("llava"))
    said = [plain(first, talk) for talk in talks]
    first.model.generation_config.eos_token_id = [first.ends[0], said[0][4], said[-1][2]]
    engine = Recording(first.model, first.processor, first.settings)
    expected = [plain(engine, talk) for talk in talks]
    answers = engine.answer(talks)
    assert [engine.__dict__["tokens"][answer] for answer in answers] == expected
    ended = [tokens[-1] in engine.ends for tokens in expected]
    assert [answer.problem == "cut" for answer in answers] == [not end for end in ended]
    assert set(ended) == {True, False}, "some end by themselves, or the test proves nothing"
    assert len({answer.tokens for answer in answers}) > 2


def test_answers_come_in_the_order_of_the_questions(tiny: Checkpoint, talks: list[Conversation]) -> None:
    engine = engine_of(tiny("llava"))
    forward = engine.answer(talks)
    assert engine.answer(talks[::-1])[::-1] == forward
    assert forward[0].prompt_tokens < forward[-1].prompt_tokens
    assert engine.answer([]) == []


def test_draws_depend_on_the_seed_and_not_on_what_was_drawn_before(tiny: Checkpoint, talks: list[Conversation]) -> None:
    engine = engine_of(tiny("llava"), temperature=2.0)
    first = engine.answer(talks[4:6])
    torch.manual_seed(1)
    torch.rand(3)
    engine.answer(talks[6:8])
    assert engine.answer(talks[4:6]) == first
    other = Engine(engine.model, engine.processor, engine.settings, seed=8)
    assert other.answer(talks[4:6]) != first


def test_only_the_answer_that_overflows_is_given_up(tiny: Checkpoint) -> None:
    engine = engine_of(tiny("llava"))
    talks = [Conversation((message("user", text_block(text)),)) for text in ("Where?", "Who? Z", "Why?")]
    healthy = engine.answer(talks)
    (token,) = engine.processor.tokenizer.encode("Z", add_special_tokens=False)
    with torch.no_grad():
        engine.model.get_input_embeddings().weight[token] = float("nan")
        # The head is tied to the embeddings; on its own it says nothing about that one token.
        head = torch.nn.Linear(32, len(engine.processor.tokenizer), bias=False)
        head.weight.copy_(engine.model.get_output_embeddings().weight.nan_to_num())
        engine.model.set_output_embeddings(head)
    engine.forget()
    answers = engine.answer(talks)
    assert [answer.problem == "non-finite" for answer in answers] == [False, True, False]
    assert answers[1].text == ""
    assert [answers[0], answers[2]] == [healthy[0], healthy[2]]


def test_an_answer_of_nothing_says_so(tiny: Checkpoint) -> None:
    engine = engine_of(tiny("llava"))
    engine.ends = list(range(len(engine.processor.tokenizer)))
    (answer,) = engine.answer([Conversation((message("user", text_block("Where?")),))])
    assert (answer.tokens, answer.problem) in [(1, ""), (1, "empty")]
    end = engine.processor.tokenizer.eos_token_id
    assert engine._decode([end, 0, 0], 5, False) == Answer("", 5, 1, "empty")


def test_an_answer_never_spells_a_control_token(tiny: Checkpoint) -> None:
    engine = engine_of(tiny("llava"))
    pieces = [engine.processor.tokenizer.encode(text, add_special_tokens=False) for text in ("a <im", "age> b")]
    said = engine._decode([*pieces[0], *pieces[1], engine.processor.tokenizer.eos_token_id], 5, False)
    assert said.text == "a  b"


def test_the_settings_for_sampling_of_a_checkpoint_do_not_make_greedy_answers_random(tiny: Checkpoint) -> None:
    engine = engine_of(tiny("llava"))
    talk = Conversation((message("user", text_block("Where?")),))
    expected = engine.answer([talk])
    engine.model.generation_config.update(do_sample=True, temperature=5.0, top_k=3, top_p=0.5)
    assert [engine.answer([talk]) for _ in range(3)] == [expected] * 3


@pytest.mark.parametrize("fault", ["missing", "torn", "text", "empty"])
def test_an_image_that_cannot_be_read_is_named(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "frame.jpg"
    picture(size=(200, 200)).save(path)
    if fault == "missing":
        path.unlink()
    else:
        content = {"torn": path.read_bytes()[:900], "text": b"not an image", "empty": b""}[fault]
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"frame\.jpg: ") as raised:
        open_image(path)
    assert "\n" not in str(raised.value)


def test_images_come_as_rgb(tmp_path: Path) -> None:
    picture().convert("L").save(tmp_path / "gray.png")
    assert open_image(tmp_path / "gray.png").mode == "RGB"


def tokens_of(engine: Recording, answers: list[Answer]) -> list[list[int]]:
    return [engine.__dict__["tokens"][answer] for answer in answers]


def draft_from(said: list[list[int]]) -> Drafts:
    """A corpus in which half of what will be said is right, and half is not."""
    return Drafts([tokens if n % 2 else [*tokens[:4], 9, *tokens[6:]] for n, tokens in enumerate(said)])


@pytest.mark.parametrize("family", SHARING)
def test_drafts_take_fewer_steps_and_change_no_answer(family: str, tiny: Checkpoint, talks: list[Conversation]) -> None:
    engine = engine_of(tiny(family), max_new_tokens=14)
    alone = [engine.answer([talk])[0] for talk in talks]
    expected = tokens_of(engine, alone)
    engine.forget()
    engine.drafts = draft_from(expected)
    answers = engine.answer(talks)
    assert tokens_of(engine, answers) == expected
    assert all(answer.steps <= answer.tokens for answer in answers)
    steps, tokens = sum(answer.steps for answer in answers), sum(answer.tokens for answer in answers)
    assert steps < 0.7 * tokens
    assert all(answer.steps == answer.tokens for answer in alone)


SCHEMA = {
    "type": "object",
    "properties": {
        "weather": {"enum": ["clear", "rain", "snow"]},
        "lanes": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["weather", "lanes"],
    "additionalProperties": False,
}
GRAMMARS = (json_schema(SCHEMA), "", one_of(["on the left", "on the right", "far away"]))


class Masked(LogitsProcessor):
    """What a grammar allows, for plain `generate`."""

    def __init__(self, engine: Engine, grammar: str) -> None:
        guide = engine.guide(grammar)
        assert guide is not None
        self.guide, self.begun = guide, False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self.begun:
            self.guide.take(int(input_ids[0, -1]))
        self.begun = True
        masked = self.guide.mask(scores[0])
        assert masked is not None
        return masked[None]


@pytest.mark.parametrize("drafts", [False, True], ids=["alone", "drafts"])
@pytest.mark.parametrize("family", FAMILIES)
def test_constrained_rows_beside_free_ones_equal_plain_generate(
    family: str, drafts: bool, tiny: Checkpoint, talks: list[Conversation]
) -> None:
    engine = engine_of(tiny(family), max_new_tokens=60)
    asked = [replace(talk, grammar=GRAMMARS[n % 3]) for n, talk in enumerate(talks)]
    asked = [talk if talk.grammar else replace(talk, max_new_tokens=10) for talk in asked]
    expected = [plain(engine, talk) for talk in asked]
    if drafts:
        engine.drafts = draft_from([said for said, talk in zip(expected, asked, strict=True) if not talk.grammar])
    answers = engine.answer(asked)
    assert tokens_of(engine, answers) == expected
    for answer, talk in zip(answers, asked, strict=True):
        if talk.grammar == GRAMMARS[0]:
            assert set(json.loads(answer.text)) == {"weather", "lanes"}
        elif talk.grammar:
            assert answer.text in ("on the left", "on the right", "far away")
    if family in SHARING:
        guided = [answer for answer, talk in zip(answers, asked, strict=True) if talk.grammar == GRAMMARS[0]]
        assert all(answer.steps <= answer.tokens for answer in answers)
        assert min(answer.steps for answer in guided) < min(answer.tokens for answer in guided)


def test_answers_say_how_long_they_took(tiny: Checkpoint, talks: list[Conversation]) -> None:
    for family in ("llava", "gemma3"):
        for answer in engine_of(tiny(family)).answer(talks[:6]):
            assert answer.first_s is not None
            assert 0 < answer.first_s <= answer.seconds


@pytest.mark.parametrize("family", ["llava", "qwen2.5-vl"])
def test_drawn_answers_are_the_same_with_drafts_and_in_any_batch(
    family: str, tiny: Checkpoint, talks: list[Conversation]
) -> None:
    engine = engine_of(tiny(family), temperature=1.5)
    alone = [engine.answer([talk])[0] for talk in talks]
    assert engine.answer(talks) == alone
    engine.forget()
    engine.drafts = draft_from(tokens_of(engine, alone))
    answers = engine.answer(talks[::-1])[::-1]
    assert answers == alone
    assert sum(answer.steps for answer in answers) < sum(answer.tokens for answer in answers)


class Counted:
    """Counts what passes through the vision tower and the decoder of a model."""

    def __init__(self, model: Any) -> None:
        self.towers = self.tokens = 0
        vision_tower(model).register_forward_hook(self._tower)
        decoder(model).register_forward_pre_hook(self._decoder, with_kwargs=True)

    def _tower(self, *_: Any) -> None:
        self.towers += 1

    def _decoder(self, module: Any, args: Any, kwargs: Any) -> None:
        self.tokens += kwargs["inputs_embeds"].shape[1]


@pytest.mark.parametrize("family", SHARING)
def test_an_image_is_computed_once_for_all_questions_and_turns(
    family: str, tiny: Checkpoint, talks: list[Conversation]
) -> None:
    engine = engine_of(tiny(family))
    images = talks[6].images
    first = [message("user", image_block(), image_block(), text_block(f"{n}: where?")) for n in range(6)]
    asked = [Conversation((question,), images) for question in first]
    engine.answer([talks[0]])  # the check on the first prompt
    seen = Counted(engine.model)
    answers = engine.answer([*asked, asked[2]])
    assert answers[6] == answers[2]
    assert seen.towers == 1
    said = tokens_of(engine, answers[:6])
    prompts = [prompt.input_ids for prompt in engine.read(asked)]
    shared = min(common_length(prompts[0], prompt) for prompt in prompts)
    assert shared >= max(prompt.media_end for prompt in engine.read(asked)) > 0
    # The last token that is said is not computed: nothing is predicted from it.
    once = [len(prompt) - shared + len(tokens) - 1 for prompt, tokens in zip(prompts, said, strict=True)]
    assert seen.tokens == shared + sum(once)

    seen.towers = seen.tokens = 0
    later = message("user", text_block("And then?"))
    talk = [
        Conversation((question, message("assistant", text_block(answer.text)), later), images)
        for question, answer in zip(first, answers[:6], strict=True)
    ]
    follow = engine.answer(talk)
    assert seen.towers == 0
    known = [np.array([*prompt, *tokens[:-1]]) for prompt, tokens in zip(prompts, said, strict=True)]
    assert seen.tokens <= sum(
        len(prompt.input_ids) - common_length(prompt.input_ids, before) + answer.tokens - 1
        for prompt, before, answer in zip(engine.read(talk), known, follow, strict=True)
    )
    assert tokens_of(engine, follow) == [plain(engine, each) for each in talk]
    engine.forget()
    assert engine.answer(talk) == follow
    assert seen.towers > 0


def test_images_are_known_by_what_they_show(tiny: Checkpoint, tmp_path: Path) -> None:
    engine = engine_of(tiny("qwen2.5-vl"))
    path = tmp_path / "frame.png"
    talk = Conversation((message("user", image_block(), text_block("Where?")),), (path,))
    for seed in range(2):
        picture(seed, size=(64 - 20 * seed, 48)).save(path)
        (answer,) = engine.answer([talk])
        assert engine.__dict__["tokens"][answer] == plain(engine, talk)


@pytest.mark.parametrize("family", ["gemma3", "llava"])
def test_what_cannot_share_says_so_once_and_answers_the_same(
    family: str, tiny: Checkpoint, talks: list[Conversation], caplog: pytest.LogCaptureFixture
) -> None:
    engine = engine_of(tiny(family))
    if family == "llava":
        engine.model.generation_config.no_repeat_ngram_size = 2
    expected = [plain(engine, talk) for talk in talks[:6]]
    assert tokens_of(engine, [*engine.answer(talks[:3]), *engine.answer(talks[3:6])]) == expected
    (record,) = caplog.records
    assert {"gemma3": "sliding_attention", "llava": "no_repeat_ngram_size"}[family] in record.getMessage()


def test_the_check_on_the_first_prompt_finds_another_attention(
    tiny: Checkpoint, talks: list[Conversation], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = engine_of(tiny("llava"))
    expected = [plain(engine, talk) for talk in talks[4:6]]
    monkeypatch.setattr(attention, "_stack", lambda parts: torch.zeros_like(torch.stack(list(parts))))
    assert tokens_of(engine, engine.answer(talks[4:6])) == expected
    assert "would change its logits" in caplog.text


def test_the_repetition_penalty_of_a_checkpoint_counts(tiny: Checkpoint, talks: list[Conversation]) -> None:
    engine = engine_of(tiny("qwen2.5-vl"))
    without = tokens_of(engine, engine.answer(talks))
    engine.model.generation_config.repetition_penalty = 1.3
    expected = [plain(engine, talk) for talk in talks]
    assert expected != without
    engine.drafts = draft_from(expected)
    assert tokens_of(engine, engine.answer(talks)) == expected


def test_each_conversation_may_have_a_limit_of_its_own(tiny: Checkpoint, talks: list[Conversation]) -> None:
    engine = engine_of(tiny("llava"))
    expected = [plain(engine, talk) for talk in talks]
    short = [replace(talk, max_new_tokens=n % 3 + 1) for n, talk in enumerate(talks)]
    said = tokens_of(engine, engine.answer(short))
    assert said == [tokens[: n % 3 + 1] for n, tokens in enumerate(expected)]
