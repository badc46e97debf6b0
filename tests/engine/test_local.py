"""The local engine says, token for token, what plain `generate` says to each conversation alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LogitsProcessor, LogitsProcessorList

from cityscribe.engine import cache
from cityscribe.engine.drafts import Drafts
from cityscribe.engine.grammars import json_schema, one_of
from cityscribe.engine.local import LocalEngine
from cityscribe.engine.prefix import common_length
from cityscribe.engine.request import Answer, Request, Sampling
from cityscribe.media.images import open_image
from cityscribe.models.load import load_model, load_processor
from cityscribe.models.parts import decoder, vision_tower
from cityscribe.records import image_block, message, text_block
from cityscribe.tokens.encode import Encoded
from tests.models.test_load import picture
from tests.tiny_models import FAMILIES, ONE_BY_ONE

Checkpoint = Callable[[str], Path]


def ask(*blocks: dict[str, Any], media: tuple[Path, ...] = (), **options: Any) -> Request:
    """One question, answered with ten tokens at most unless generated otherwise."""
    return Request((message("user", *blocks),), media, **{"max_tokens": 10, **options})


def engine_of(folder: Path, batch_size: int = 4) -> LocalEngine:
    return LocalEngine(load_model(folder, dtype=torch.float32), load_processor(folder), batch_size=batch_size)


def answers_of(engine: LocalEngine, requests: Sequence[Request]) -> list[Answer]:
    """One answer to each."""
    return [answer for (answer,) in engine.answer(requests)]


def tokens_of(answers: Sequence[Answer]) -> list[list[int]]:
    """Random models say bytes that no text can hold, so answers are compared by their tokens."""
    return [list(answer.token_ids) for answer in answers]


def prompts_of(engine: LocalEngine, requests: Sequence[Request]) -> list[Encoded]:
    prompts = engine.read(requests)
    assert all(isinstance(prompt, Encoded) for prompt in prompts)
    return [prompt for prompt in prompts if isinstance(prompt, Encoded)]


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> list[Request]:
    """Requests of all lengths: without an image, with one, with two, with something said before."""
    folder = tmp_path_factory.mktemp("images")
    paths = tuple(folder / f"{number}.png" for number in range(5))
    for number, path in enumerate(paths):
        picture(number, size=(40 + 8 * number, 32)).save(path)
    questions = ["Where?", "Describe the vehicle in the blue box, 20 km/h.", "And the weather?", "Who is near it?"]
    requests = [ask(text_block(question)) for question in questions]
    for number, question in enumerate(questions):
        shown = [image_block() for _ in range(1 + number % 2)]
        images = paths[number : number + len(shown)]
        first = ask(*shown, text_block(question), media=images)
        answer = message("assistant", text_block("On the left side, far away."))
        later = message("user", text_block(questions[-1 - number]))
        requests += [first, replace(first, messages=(*first.messages, answer, later))]
    return requests


@torch.inference_mode()
def plain(engine: LocalEngine, request: Request) -> list[int]:
    text = engine.processor.apply_chat_template(list(request.messages), add_generation_prompt=True)
    images = [[open_image(path) for path in request.media]] if request.media else None
    inputs = engine.processor(text=[text], images=images, return_tensors="pt")
    masked = LogitsProcessorList([Masked(engine, request.grammar)] if request.grammar else [])
    ids = engine.model.generate(**inputs, max_new_tokens=request.max_tokens, do_sample=False, logits_processor=masked)
    return ids[0, inputs["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_mixed_batches_equal_plain_generate_one_by_one(family: str, tiny: Checkpoint, requests: list[Request]) -> None:
    engine = engine_of(tiny(family))
    expected = [plain(engine, request) for request in requests]
    assert len({tuple(tokens) for tokens in expected}) > 2, "a model that always says the same proves nothing"
    answers = answers_of(engine, requests)
    assert tokens_of(answers) == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_answers_and_repeats_itself(family: str, tiny: Checkpoint, requests: list[Request]) -> None:
    model = load_model(tiny(family), dtype=torch.bfloat16)
    engine = LocalEngine(model, load_processor(tiny(family)), batch_size=4)
    short = [replace(request, max_tokens=4) for request in requests[4:8]]
    answers = answers_of(engine, short)
    assert all(answer.tokens and answer.problem in ("", "empty", "cut") for answer in answers)
    assert answers_of(engine, short) == answers


def test_answers_end_with_an_end_token(tiny: Checkpoint, requests: list[Request]) -> None:
    first = engine_of(tiny("llava"))
    generated = [plain(first, request) for request in requests]
    first.model.generation_config.eos_token_id = [first.ends[0], generated[0][4], generated[-1][2]]
    engine = LocalEngine(first.model, first.processor, batch_size=4)
    expected = [plain(engine, request) for request in requests]
    answers = answers_of(engine, requests)
    assert tokens_of(answers) == expected
    ended = [tokens[-1] in engine.ends for tokens in expected]
    assert [answer.problem == "cut" for answer in answers] == [not end for end in ended]
    assert set(ended) == {True, False}, "some end by themselves, or the test proves nothing"
    assert len({answer.tokens for answer in answers}) > 2


def test_answers_come_in_the_order_of_the_questions(tiny: Checkpoint, requests: list[Request]) -> None:
    engine = engine_of(tiny("llava"))
    forward = answers_of(engine, requests)
    assert answers_of(engine, requests[::-1])[::-1] == forward
    assert forward[0].prompt_tokens < forward[-1].prompt_tokens
    assert answers_of(engine, []) == []


def test_draws_depend_on_the_seed_and_not_on_what_was_drawn_before(tiny: Checkpoint, requests: list[Request]) -> None:
    engine = engine_of(tiny("llava"))
    drawn = [replace(request, sampling=Sampling(temperature=2.0, seed=7)) for request in requests]
    first = answers_of(engine, drawn[4:6])
    torch.manual_seed(1)
    torch.rand(3)
    answers_of(engine, drawn[6:8])
    assert answers_of(engine, drawn[4:6]) == first
    other = [replace(request, sampling=Sampling(temperature=2.0, seed=8)) for request in drawn[4:6]]
    assert answers_of(engine, other) != first


@pytest.mark.parametrize("family", ["llava", ONE_BY_ONE])
def test_samples_are_drawn_apart_and_the_first_is_that_of_one(
    family: str, tiny: Checkpoint, requests: list[Request]
) -> None:
    engine = engine_of(tiny(family))
    drawn = [replace(request, sampling=Sampling(temperature=2.0, seed=7)) for request in requests[4:6]]
    several = engine.answer([replace(request, samples=3) for request in drawn])
    assert [samples[0] for samples in several] == answers_of(engine, drawn)
    assert all(len({answer.token_ids for answer in samples}) == 3 for samples in several)
    (greedy,) = engine.answer([replace(requests[4], samples=2)])
    assert greedy == answers_of(engine, [requests[4]]) * 2


@pytest.mark.parametrize("family", ["llava", "qwen2.5-vl", ONE_BY_ONE])
def test_logprobs_are_those_of_plain_forward(family: str, tiny: Checkpoint, requests: list[Request]) -> None:
    engine = engine_of(tiny(family))
    wanted = [replace(request, logprobs=True) for request in requests[3:7]]
    wanted[1] = replace(wanted[1], sampling=Sampling(temperature=1.5, repetition_penalty=1.2))
    answers = answers_of(engine, wanted)
    for request, answer in zip(wanted, answers, strict=True):
        (prompt,) = prompts_of(engine, [request])
        ids = torch.tensor([[*prompt.input_ids.tolist(), *answer.token_ids]])
        more = torch.zeros(1, answer.tokens, dtype=torch.long)
        beside = {
            name: torch.cat([value, more], dim=1) for name, value in prompt.tensors().items() if name != "input_ids"
        }
        with torch.inference_mode():
            logits = engine.model(input_ids=ids, **beside, **prompt.media_inputs).logits[0]
        logprobs = logits.log_softmax(dim=-1)[prompt.length - 1 : -1]
        expected = logprobs[torch.arange(answer.tokens), ids[0, prompt.length :]].tolist()
        assert answer.logprobs == pytest.approx(expected, abs=1e-5)
    assert not answers_of(engine, requests[3:4])[0].logprobs


def test_only_the_answer_that_overflows_is_given_up(tiny: Checkpoint) -> None:
    engine = engine_of(tiny("llava"))
    requests = [ask(text_block(text)) for text in ("Where?", "Who? Z", "Why?")]
    healthy = answers_of(engine, requests)
    (token,) = engine.processor.tokenizer.encode("Z", add_special_tokens=False)
    with torch.no_grad():
        engine.model.get_input_embeddings().weight[token] = float("nan")
        # The head is tied to the embeddings; on its own it says nothing about that one token.
        head = torch.nn.Linear(32, len(engine.processor.tokenizer), bias=False)
        head.weight.copy_(engine.model.get_output_embeddings().weight.nan_to_num())
        engine.model.set_output_embeddings(head)
    engine.forget()
    answers = answers_of(engine, requests)
    assert [answer.problem == "non-finite" for answer in answers] == [False, True, False]
    assert answers[1].text == ""
    assert [answers[0], answers[2]] == [healthy[0], healthy[2]]


def test_an_answer_of_nothing_says_so(tiny: Checkpoint) -> None:
    engine = engine_of(tiny("llava"))
    engine.ends = list(range(len(engine.processor.tokenizer)))
    end = engine.processor.tokenizer.eos_token_id
    with torch.no_grad():
        head = torch.nn.Linear(32, len(engine.processor.tokenizer))
        head.weight.zero_()
        head.bias.zero_()[end] = 1.0
        engine.model.set_output_embeddings(head)
    assert answers_of(engine, [ask(text_block("Where?"))])[0].problem == "empty"


def test_an_answer_never_spells_a_control_token(tiny: Checkpoint) -> None:
    engine = engine_of(tiny("llava"))
    pieces = [engine.processor.tokenizer.encode(text, add_special_tokens=False) for text in ("a <im", "age> b")]
    assert engine.text([*pieces[0], *pieces[1]]) == "a  b"


def test_the_settings_for_sampling_of_a_checkpoint_do_not_make_greedy_answers_random(tiny: Checkpoint) -> None:
    engine = engine_of(tiny("llava"))
    request = ask(text_block("Where?"))
    expected = answers_of(engine, [request])
    engine.model.generation_config.update(do_sample=True, temperature=5.0, top_k=3, top_p=0.5)
    assert [answers_of(engine, [request]) for _ in range(3)] == [expected] * 3


def draft_from(generated: list[list[int]]) -> Drafts:
    """A corpus in which half of what will be generated is right, and half is not."""
    return Drafts([tokens if n % 2 else [*tokens[:4], 9, *tokens[6:]] for n, tokens in enumerate(generated)])


@pytest.mark.parametrize("family", FAMILIES)
def test_drafts_take_fewer_steps_and_change_no_answer(family: str, tiny: Checkpoint, requests: list[Request]) -> None:
    engine = engine_of(tiny(family))
    requests = [replace(request, max_tokens=14) for request in requests]
    alone = [answers_of(engine, [request])[0] for request in requests]
    expected = tokens_of(alone)
    engine.forget()
    engine.drafts = draft_from(expected)
    answers = answers_of(engine, requests)
    assert tokens_of(answers) == expected
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

    def __init__(self, engine: LocalEngine, grammar: str) -> None:
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


@pytest.mark.parametrize("family", [*FAMILIES, ONE_BY_ONE])
def test_constrained_rows_beside_free_ones_equal_plain_generate(
    family: str, tiny: Checkpoint, requests: list[Request]
) -> None:
    engine = engine_of(tiny(family))
    asked = [
        replace(request, grammar=GRAMMARS[n % 3], max_tokens=60 if GRAMMARS[n % 3] else 10)
        for n, request in enumerate(requests)
    ]
    expected = [plain(engine, request) for request in asked]
    free = [generated for generated, request in zip(expected, asked, strict=True) if not request.grammar]
    for drafts in (None, draft_from(free)):
        engine.forget()
        engine.drafts = drafts
        answers = answers_of(engine, asked)
        assert tokens_of(answers) == expected
        for answer, request in zip(answers, asked, strict=True):
            if request.grammar == GRAMMARS[0]:
                assert set(json.loads(answer.text)) == {"weather", "lanes"}
            elif request.grammar:
                assert answer.text in ("on the left", "on the right", "far away")
        if family != ONE_BY_ONE:
            guided = [answer for answer, request in zip(answers, asked, strict=True) if request.grammar == GRAMMARS[0]]
            assert all(answer.steps <= answer.tokens for answer in answers)
            assert min(answer.steps for answer in guided) < min(answer.tokens for answer in guided)


def test_answers_say_how_long_they_took(tiny: Checkpoint, requests: list[Request]) -> None:
    for family in ("llava", ONE_BY_ONE):
        for answer in answers_of(engine_of(tiny(family)), requests[:6]):
            assert answer.first_s is not None
            assert 0 < answer.first_s <= answer.seconds


@pytest.mark.parametrize("family", ["llava", "qwen2.5-vl"])
def test_drawn_answers_are_the_same_with_drafts_and_in_any_batch(
    family: str, tiny: Checkpoint, requests: list[Request]
) -> None:
    engine = engine_of(tiny(family))
    requests = [replace(request, sampling=Sampling(temperature=1.5, seed=7)) for request in requests]
    alone = [answers_of(engine, [request])[0] for request in requests]
    assert answers_of(engine, requests) == alone
    engine.forget()
    engine.drafts = draft_from(tokens_of(alone))
    answers = answers_of(engine, requests[::-1])[::-1]
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


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_is_computed_once_for_all_questions_and_turns(
    family: str, tiny: Checkpoint, requests: list[Request]
) -> None:
    engine = engine_of(tiny(family))
    images = requests[6].media
    first = [message("user", image_block(), image_block(), text_block(f"{n}: where?")) for n in range(6)]
    asked = [Request((question,), images, max_tokens=10) for question in first]
    answers_of(engine, [requests[0]])  # the check on the first prompt
    seen = Counted(engine.model)
    answers = answers_of(engine, [*asked, asked[2]])
    assert answers[6] == answers[2]
    assert seen.towers == 1
    generated = tokens_of(answers[:6])
    prompts = [prompt.input_ids for prompt in prompts_of(engine, asked)]
    shared = min(common_length(prompts[0], prompt) for prompt in prompts)
    assert shared >= max(prompt.media_end for prompt in prompts_of(engine, asked)) > 0
    # The last token that is generated is not computed: nothing is predicted from it.
    once = [len(prompt) - shared + len(tokens) - 1 for prompt, tokens in zip(prompts, generated, strict=True)]
    assert seen.tokens == shared + sum(once)

    seen.towers = seen.tokens = 0
    later = message("user", text_block("And then?"))
    turns = [
        Request((question, message("assistant", text_block(answer.text)), later), images, max_tokens=10)
        for question, answer in zip(first, answers[:6], strict=True)
    ]
    follow = answers_of(engine, turns)
    assert seen.towers == 0
    known = [np.array([*prompt, *tokens[:-1]]) for prompt, tokens in zip(prompts, generated, strict=True)]
    assert seen.tokens <= sum(
        len(prompt.input_ids) - common_length(prompt.input_ids, before) + answer.tokens - 1
        for prompt, before, answer in zip(prompts_of(engine, turns), known, follow, strict=True)
    )
    assert tokens_of(follow) == [plain(engine, each) for each in turns]
    engine.forget()
    assert answers_of(engine, turns) == follow
    assert seen.towers > 0


def test_images_are_known_by_what_they_show(tiny: Checkpoint, tmp_path: Path) -> None:
    engine = engine_of(tiny("qwen2.5-vl"))
    path = tmp_path / "frame.png"
    request = ask(image_block(), text_block("Where?"), media=(path,))
    for seed in range(2):
        picture(seed, size=(64 - 20 * seed, 48)).save(path)
        (answer,) = answers_of(engine, [request])
        assert list(answer.token_ids) == plain(engine, request)


@pytest.mark.parametrize("family", [ONE_BY_ONE, "llava"])
def test_what_cannot_share_says_so_once_and_answers_the_same(
    family: str, tiny: Checkpoint, requests: list[Request], caplog: pytest.LogCaptureFixture
) -> None:
    engine = engine_of(tiny(family))
    if family == "llava":
        engine.model.generation_config.no_repeat_ngram_size = 2
    expected = [plain(engine, request) for request in requests[:6]]
    assert tokens_of([*answers_of(engine, requests[:3]), *answers_of(engine, requests[3:6])]) == expected
    (record,) = caplog.records
    assert {ONE_BY_ONE: "min_length", "llava": "no_repeat_ngram_size"}[family] in record.getMessage()


def test_the_check_on_the_first_prompt_finds_another_attention(
    tiny: Checkpoint, requests: list[Request], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = engine_of(tiny("llava"))
    expected = [plain(engine, request) for request in requests[4:6]]
    monkeypatch.setattr(cache, "_stack", lambda parts: torch.zeros_like(torch.stack(list(parts))))
    assert tokens_of(answers_of(engine, requests[4:6])) == expected
    assert "would change its logits" in caplog.text


def test_the_repetition_penalty_of_a_checkpoint_counts(tiny: Checkpoint, requests: list[Request]) -> None:
    engine = engine_of(tiny("qwen2.5-vl"))
    without = tokens_of(answers_of(engine, requests))
    engine.model.generation_config.repetition_penalty = 1.3
    expected = [plain(engine, request) for request in requests]
    assert expected != without
    engine.drafts = draft_from(expected)
    assert tokens_of(answers_of(engine, requests)) == expected


def test_each_conversation_may_have_a_limit_of_its_own(tiny: Checkpoint, requests: list[Request]) -> None:
    engine = engine_of(tiny("llava"))
    expected = [plain(engine, request) for request in requests]
    short = [replace(request, max_tokens=n % 3 + 1) for n, request in enumerate(requests)]
    generated = tokens_of(answers_of(engine, short))
    assert generated == [tokens[: n % 3 + 1] for n, tokens in enumerate(expected)]
