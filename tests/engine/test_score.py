"""Options scored on a shared prompt equal options scored one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cityscribe.engine.local import LocalEngine
from cityscribe.engine.prefix import media_inputs_of, token_inputs_of
from cityscribe.engine.request import Request
from cityscribe.records import image_block, text_block
from tests.engine.test_local import answers_of, ask, engine_of, prompts_of
from tests.models.test_load import picture
from tests.tiny_models import FAMILIES

Checkpoint = Callable[[str], Path]
OPTIONS = ["on the left", "on the left side", "far away, on the right side of the vehicle", "A"]


@pytest.fixture
def questions(tmp_path: Path) -> list[Request]:
    requests = []
    for number, question in enumerate(["Where is the pedestrian?", "Where is it?", "Who?"]):
        images = tuple(tmp_path / f"{number}{n}.png" for n in range(number))
        for n, path in enumerate(images):
            picture(n, size=(40 + 9 * number, 33)).save(path)
        requests.append(ask(*[image_block()] * number, text_block(question), media=images))
    return requests


@torch.inference_mode()
def alone(engine: LocalEngine, request: Request, option: str, ended: bool) -> float:
    """By the model's own forward over the whole sequence, without a cache."""
    (prompt,) = prompts_of(engine, [request])
    ids = engine.processor.tokenizer.encode(option, add_special_tokens=False) + ([engine.ends[0]] if ended else [])
    whole = torch.from_numpy(np.concatenate([prompt.input_ids, ids])[None])
    more = torch.zeros(1, len(ids), dtype=torch.long)
    beside = token_inputs_of(engine.model, prompt)
    extra = {name: torch.cat([each, more], dim=1) for name, each in beside.items()}
    logits = engine.model(
        input_ids=whole, attention_mask=torch.ones_like(whole), **media_inputs_of(engine.model, prompt), **extra
    ).logits[0]
    logprobs = logits.log_softmax(dim=-1)[len(prompt.input_ids) - 1 : -1]
    return float(logprobs[torch.arange(len(ids)), ids].sum())


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_to_one_by_one(family: str, tiny: Checkpoint, questions: list[Request]) -> None:
    engine = engine_of(tiny(family), batch_size=2)
    options = [OPTIONS, OPTIONS[:1], OPTIONS[1:3]]
    scores = engine.score(questions, options, ended=True)
    for request, texts, found in zip(questions, options, scores, strict=True):
        for text, score in zip(texts, found, strict=True):
            expected = alone(engine, request, text, ended=True)
            assert score.sum == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert len({score.sum for found in scores for score in found}) == 7


def test_a_prompt_that_was_answered_is_not_computed_again(tiny: Checkpoint, questions: list[Request]) -> None:
    engine = engine_of(tiny("qwen2.5-vl"))
    before = engine.score(questions[1:], [OPTIONS] * 2)
    answers_of(engine, questions[1:])
    tower: list[int] = []
    engine.model.model.visual.register_forward_hook(lambda *_: tower.append(1))
    after = engine.score(questions[1:], [OPTIONS] * 2)
    assert not tower
    for first, second in zip(before, after, strict=True):
        assert [score.sum for score in second] == pytest.approx([score.sum for score in first], abs=1e-5)
    assert before[0][0].mean == before[0][0].sum / len(before[0][0].logprobs)


def test_nothing_to_choose(tiny: Checkpoint, questions: list[Request]) -> None:
    engine = engine_of(tiny("llava"))
    assert engine.score(questions[:2], [[], []]) == [[], []]
    ((left, nothing),) = engine.score(questions[:1], [["left", ""]])
    assert left.logprobs
    assert (nothing.problem, nothing.reason) == ("refused", "continuation ``: has no tokens")
