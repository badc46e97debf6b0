"""Corrected decoding: the formula on two passes of the model, whatever is decoded beside it; exact at strength 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cityscribe.engine.decoding import DECODINGS, AgainstBlind, Contrast, M3id
from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Request, Sampling
from cityscribe.media.images import open_image
from cityscribe.records import image_block, message, text_block
from cityscribe.tokens.shown import without_media
from tests.engine.test_local import answers_of, ask, engine_of, tokens_of
from tests.models.test_load import picture

Checkpoint = Callable[[str], Path]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[Request]:
    folder = tmp_path_factory.mktemp("images")
    found = [ask(text_block("Where?"))]
    for number, question in enumerate(("Where?", "And the weather?", "Who is near it?")):
        path = folder / f"{number % 2}.png"
        picture(number % 2, size=(40, 32)).save(path)
        found.append(ask(image_block(), text_block(question), media=(path,)))
    said = message("assistant", text_block("On the left side."))
    later = (*found[-1].messages, said, message("user", text_block("And then?")))
    return [*found, replace(found[-1], messages=later)]


@torch.inference_mode()
def plainly(engine: LocalEngine, request: Request, contrast: Contrast) -> list[int]:
    """Two passes of the whole conversation for each token, with and without the image."""
    tokens: list[int] = []
    for place in range(request.max_tokens):
        sides = []
        for messages, media in ((request.messages, request.media), (without_media(request.messages), ())):
            text = engine.processor.apply_chat_template(list(messages), add_generation_prompt=True)
            images = [[open_image(path) for path in media]] if media else None
            inputs = dict(engine.processor(text=[text], images=images, return_tensors="pt"))
            length = inputs["input_ids"].shape[1]
            more = {"input_ids": torch.tensor(tokens).long(), "attention_mask": torch.ones(len(tokens)).long()}
            for name, value in inputs.items():
                if value.shape == (1, length):
                    own = more.get(name, torch.zeros(len(tokens)).long())
                    inputs[name] = torch.cat([value, own[None]], dim=1)
            sides.append(engine.model(**inputs).logits[0, -1].log_softmax(dim=0))
        shown, blind = sides
        weight = contrast.strength + torch.exp(torch.tensor(contrast.growth * place)) - 1
        if shown.max().exp() < contrast.confidence:
            shown = shown + weight * (shown - blind)
        tokens.append(int(shown.argmax()))
        if tokens[-1] in engine.ends:
            break
    return tokens


@pytest.mark.parametrize("family", ["llava", "qwen2.5-vl"])
def test_it_is_the_formula_on_two_passes(family: str, tiny: Checkpoint, asked: list[Request]) -> None:
    """Mixed with others in one batch; the second turn continues what the first computed."""
    engine = engine_of(tiny(family))
    contrasts = [None, M3id(forgetting=0.3, confidence=0.5).contrast(), AgainstBlind(strength=2.0).contrast(), None]
    contrasts.append(AgainstBlind(strength=4.0, confidence=0.9).contrast())
    requests = [replace(request, contrast=each) for request, each in zip(asked, contrasts, strict=True)]
    found = tokens_of(answers_of(engine, requests))
    expected = [
        tokens_of(answers_of(engine, [request]))[0] if each is None else plainly(engine, request, each)
        for request, each in zip(asked, contrasts, strict=True)
    ]
    assert found == expected
    plain = tokens_of(answers_of(engine, asked))
    assert sum(a != b for a, b in zip(found, plain, strict=True)) >= 2, "what changes nothing proves nothing"
    assert tokens_of(answers_of(engine, requests[::-1]))[::-1] == expected


def test_at_strength_zero_the_answer_is_that_of_the_model(tiny: Checkpoint, asked: list[Request]) -> None:
    assert [DECODINGS[name]().contrast() is None for name in DECODINGS] == [True, False, False]
    assert AgainstBlind(strength=0.0).contrast() is None
    assert M3id(forgetting=0.0).contrast() is None
    assert M3id(confidence=0.0).contrast() is None
    engine = engine_of(tiny("llava"))
    drawn = [replace(request, sampling=Sampling(1.0, seed=3), logprobs=True) for request in asked]
    nothing = [replace(request, contrast=Contrast(0.0, 0.0)) for request in drawn]
    expected, found = answers_of(engine, drawn), answers_of(engine, nothing)
    assert tokens_of(found) == tokens_of(expected)
    without = [replace(request, contrast=M3id().contrast()) for request in asked[:1]]  # it shows nothing
    assert tokens_of(answers_of(engine, without)) == tokens_of(answers_of(engine, asked[:1]))


def test_a_model_that_shares_no_prefix_says_so(tiny: Checkpoint, asked: list[Request]) -> None:
    engine = engine_of(tiny("llava"))
    engine.model.generation_config.no_repeat_ngram_size = 9  # which `generate` alone knows
    (answer,) = answers_of(engine, [replace(asked[1], contrast=M3id().contrast(), max_tokens=2)])
    assert (answer.problem, answer.text) == ("refused", "")
    assert "without a contrast" in answer.reason
