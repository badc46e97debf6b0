"""A model that drops image tokens on their way through its decoder answers as it does alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import DynamicCache

from cityscribe.engine import prefix
from cityscribe.engine.local import LocalEngine
from cityscribe.engine.prefix import Prefix, media_inputs_of
from cityscribe.engine.request import Request
from cityscribe.records import image_block, message, text_block
from cityscribe.tokens.encode import Encoded
from tests.engine.test_local import answers_of, ask, engine_of, prompts_of, tokens_of
from tests.models.test_load import picture

Checkpoint = Callable[[str], Path]


def kept_of(prompt: Encoded, length: int, layer: int) -> np.ndarray:
    """Which of the first tokens a layer keeps: fewer image tokens the deeper it is, another part of them in each."""
    image = np.flatnonzero(prompt.media_ids[:length] >= 0)
    dropped = image[: layer * len(image) // 4]
    return np.setdiff1d(np.arange(length), dropped)


def plant_reduction(monkeypatch: pytest.MonkeyPatch) -> None:
    compute = prefix.prefill

    def reduced(model: Any, prompt: Encoded, length: int, *_: Any) -> Prefix:
        whole = compute(model, prompt, length)
        layers = []
        for layer, (keys, values) in enumerate(whole.layers):
            kept = torch.from_numpy(kept_of(prompt, length, layer))
            layers.append((keys[:, kept], values[:, kept]))
        return Prefix(length, layers)

    monkeypatch.setattr(prefix, "prefill", reduced)


@torch.inference_mode()
def plain(engine: LocalEngine, request: Request, shared: int) -> list[int]:
    """The same reduction by the model's own cache: prefill, drop, and then token by token."""
    (prompt,) = prompts_of(engine, [request])
    cache = DynamicCache()
    positions = torch.from_numpy(prompt.position_ids)

    def step(ids: list[int], position_ids: torch.Tensor, **inputs: Any) -> int:
        logits = engine.model(
            input_ids=torch.tensor([ids]),
            position_ids=position_ids[:, None] if len(position_ids) > 1 else position_ids,
            past_key_values=cache,
            use_cache=True,
            **inputs,
        ).logits
        return int(logits[0, -1].argmax())

    ids = prompt.input_ids.tolist()
    step(ids[:shared], positions[:, :shared], **media_inputs_of(engine.model, prompt))
    for number, layer in enumerate(cache.layers):
        kept = torch.from_numpy(kept_of(prompt, shared, number))
        layer.keys, layer.values = layer.keys[:, :, kept], layer.values[:, :, kept]
    for place in range(shared, len(ids)):
        # One token at a time sees all that is there, so that no mask has to know of the layers.
        following = step([ids[place]], positions[:, place : place + 1])
    generated = [following]
    while len(generated) < request.max_tokens and generated[-1] not in engine.ends:
        position = torch.full((len(positions), 1), prompt.next_position + len(generated) - 1)
        generated.append(step([generated[-1]], position))
    return generated


@pytest.mark.parametrize("family", ["llava", "qwen2.5-vl"])
def test_prefixes_of_another_length_in_each_layer(
    family: str, tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(tiny(family))
    scenes = [(picture(0, size=(40, 32)),), (picture(1, size=(64, 48)), picture(2, size=(32, 32)))]
    asked = [
        ask(*[image_block() for _ in media], text_block(text), media=media)
        for media in scenes
        for text in ("Where?", "Describe the vehicle in the blue box.", "Who is near it?")
    ]
    unreduced = tokens_of(answers_of(engine, asked))
    engine.forget()
    plant_reduction(monkeypatch)
    prompts = prompts_of(engine, asked)
    shared = [
        min(prefix.common_length(prompts[start].input_ids, each.input_ids) for each in prompts[start : start + 3])
        for start in (0, 3)
    ]
    assert all(prompts[3 * n].media_end <= length for n, length in enumerate(shared))
    answers = answers_of(engine, asked)
    expected = [plain(engine, request, shared[n // 3]) for n, request in enumerate(asked)]
    assert tokens_of(answers) == expected
    assert expected != unreduced, "a reduction that changes nothing proves nothing"
    # The next turn continues the reduced prefix, and so does another question that parts from it earlier.
    later = message("user", text_block("And then?"))
    turns = [
        replace(request, messages=(*request.messages, message("assistant", text_block(answer.text)), later))
        for request, answer in zip(asked, answers, strict=True)
    ]
    follow = answers_of(engine, turns)
    assert tokens_of(follow) == [plain(engine, request, shared[n // 3]) for n, request in enumerate(turns)]
