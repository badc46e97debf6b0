"""The recipe of `cityscribe-small`: four times the tiny base, with its tokenizer, and it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, LlavaForConditionalGeneration

from cityscribe.models.load import resolve_base
from recipes.tiny_base import IMAGE_SIZE, IMAGE_TOKENS, VIEWS, start


def test_the_small_base_has_the_size_and_the_words_of_a_teacher_of_the_tiny_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "0000.npy", rng.integers(0, 255, (8, len(VIEWS), IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8))
    start(tmp_path / "small", tmp_path, "small")
    model = LlavaForConditionalGeneration.from_pretrained(tmp_path / "small", dtype=torch.float32)
    assert 24e6 < model.num_parameters() < 26e6
    places = tmp_path / "small", resolve_base("cityscribe-tiny")
    words, tiny = (AutoTokenizer.from_pretrained(place).get_vocab() for place in places)
    assert words == tiny
    ids = torch.tensor([[model.config.image_token_id] * IMAGE_TOKENS + [40, 41, 42, 43]])
    pixels = torch.from_numpy(rng.standard_normal((1, 3, IMAGE_SIZE, IMAGE_SIZE), np.float32))
    labels = torch.where(ids == model.config.image_token_id, -100, ids)
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=1e-3), []
    for _ in range(3):
        loss = model(input_ids=ids, pixel_values=pixels, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.8 * losses[0]
