"""Options scored on a shared prompt equal options scored one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cityscribe.files import InputError
from cityscribe.predict.decode import image_inputs_of
from cityscribe.predict.local import Engine
from cityscribe.predict.options import score_options
from cityscribe.predict.prompts import Conversation
from cityscribe.records import image_block, message, text_block
from tests.models.test_load import picture
from tests.predict.test_local import engine_of
from tests.tiny_models import FAMILIES

Checkpoint = Callable[[str], Path]
OPTIONS = ["on the left", "on the left side", "far away, on the right side of the vehicle", "A"]


@pytest.fixture
def questions(tmp_path: Path) -> list[Conversation]:
    talks = []
    for number, asked in enumerate(["Where is the pedestrian?", "Where is it?", "Who?"]):
        images = tuple(tmp_path / f"{number}{n}.png" for n in range(number))
        for n, path in enumerate(images):
            picture(n, size=(40 + 9 * number, 33)).save(path)
        talks.append(Conversation((message("user", *[image_block()] * number, text_block(asked)),), images))
    return talks


@torch.inference_mode()
def alone(engine: Engine, talk: Conversation, option: str, ended: bool) -> float:
    """By the model's own forward over the whole sequence, without a cache."""
    (prompt,) = engine.read([talk])
    ids = engine.processor.tokenizer.encode(option, add_special_tokens=False) + ([engine.ends[0]] if ended else [])
    whole = torch.from_numpy(np.concatenate([prompt.input_ids, ids])[None])
    more = torch.zeros(1, len(ids), dtype=torch.long)
    tokens = {name: each for name, each in prompt.tensors().items() if name != "input_ids"}
    extra = {name: torch.cat([each, more], dim=1) for name, each in tokens.items()}
    logits = engine.model(
        input_ids=whole, attention_mask=torch.ones_like(whole), **image_inputs_of(engine.model, prompt), **extra
    ).logits[0]
    logprobs = logits.log_softmax(dim=-1)[len(prompt.input_ids) - 1 : -1]
    return float(logprobs[torch.arange(len(ids)), ids].sum())


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_to_one_by_one(family: str, tiny: Checkpoint, questions: list[Conversation]) -> None:
    engine = engine_of(tiny(family), batch_size=2)
    options = [OPTIONS, OPTIONS[:1], OPTIONS[1:3]]
    scores = score_options(engine, questions, options, ended=True)
    for talk, texts, found in zip(questions, options, scores, strict=True):
        for text, score in zip(texts, found, strict=True):
            expected = alone(engine, talk, text, ended=True)
            assert score.total == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert len({score.total for found in scores for score in found}) == 7


def test_a_prompt_that_was_answered_is_not_computed_again(tiny: Checkpoint, questions: list[Conversation]) -> None:
    engine = engine_of(tiny("qwen2.5-vl"))
    before = score_options(engine, questions[1:], [OPTIONS] * 2)
    engine.answer(questions[1:])
    tower: list[int] = []
    engine.model.model.visual.register_forward_hook(lambda *_: tower.append(1))
    after = score_options(engine, questions[1:], [OPTIONS] * 2)
    assert not tower
    for first, second in zip(before, after, strict=True):
        assert [score.total for score in second] == pytest.approx([score.total for score in first], abs=1e-5)
    assert before[0][0].mean == before[0][0].total / before[0][0].tokens


def test_nothing_to_choose(tiny: Checkpoint, questions: list[Conversation]) -> None:
    engine = engine_of(tiny("llava"))
    assert score_options(engine, questions[:2], [[], []]) == [[], []]
    with pytest.raises(InputError, match="option ``: has no tokens"):
        score_options(engine, questions[:1], [["left", ""]])
