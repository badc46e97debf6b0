"""The small model of our own: its size, its words, its images."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cityscribe.files import InputError
from cityscribe.models.build import LARGEST, build_processor, build_tiny_llava
from cityscribe.models.tokenizer import train_tokenizer
from tests.tiny_models import TEXTS

TOKENIZER = train_tokenizer(TEXTS, 320)
TALK = [
    {"role": "user", "content": [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "Where?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "On the left."}]},
    {"role": "user", "content": "And now?"},
    {"role": "assistant", "content": "Far away."},
]


def test_the_default_model_is_small_and_drawn_by_its_seed() -> None:
    model, _ = build_tiny_llava(TOKENIZER, seed=3)
    again, _ = build_tiny_llava(TOKENIZER, seed=3)
    other, _ = build_tiny_llava(TOKENIZER, seed=4)
    assert model.num_parameters() <= LARGEST
    pairs = zip(model.state_dict().values(), again.state_dict().values(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
    assert not torch.equal(model.lm_head.weight, other.lm_head.weight)


def test_building_leaves_the_random_numbers_of_others_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_tiny_llava(TOKENIZER, text_layers=1, vision_layers=1)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [({"patch_size": 7}, "image_size by patch_size"), ({"text_layers": 16, "text_width": 512}, "parameters, at most")],
)
def test_sizes_that_cannot_be_built(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_tiny_llava(TOKENIZER, **sizes)


def test_an_image_keeps_its_borders() -> None:
    wide = np.zeros((40, 200, 3), dtype=np.uint8)
    wide[:, :20] = (255, 0, 0)
    wide[:, -20:] = (0, 0, 255)
    processor = build_processor(TOKENIZER, image_size=32, patch_size=8)
    pixels = processor.image_processor(Image.fromarray(wide), return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 3, 32, 32)
    red, _, blue = pixels[0]
    assert red[16, 0] > red[16, 16]
    assert blue[16, -1] > blue[16, 16]


def test_each_image_takes_its_patches_in_tokens() -> None:
    processor = build_processor(TOKENIZER, image_size=32, patch_size=8)
    text = processor.apply_chat_template(TALK, add_generation_prompt=True)
    image = Image.new("RGB", (50, 20))
    ids = processor(images=[[image, image]], text=[text], return_tensors="pt")["input_ids"]
    assert (ids == TOKENIZER.image_token_id).sum() == 2 * (32 // 8) ** 2


def test_the_template_marks_what_the_assistant_says() -> None:
    encoded = TOKENIZER.apply_chat_template(TALK, return_dict=True, return_assistant_tokens_mask=True)
    said = [i for i, own in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if own]
    assert TOKENIZER.decode(said) == "On the left.<|im_end|>Far away.<|im_end|>"


def test_a_prompt_is_the_beginning_of_its_conversation() -> None:
    prompt = TOKENIZER.apply_chat_template(TALK[:1], add_generation_prompt=True, tokenize=False)
    whole = TOKENIZER.apply_chat_template(TALK, tokenize=False)
    assert prompt == "<|im_start|>user\n<image><image>Where?<|im_end|>\n<|im_start|>assistant\n"
    assert whole.startswith(prompt + "On the left.<|im_end|>\n<|im_start|>user\nAnd now?<|im_end|>\n")


@given(st.text())
def test_any_text_survives(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text, add_special_tokens=False)) == text


def test_digits_stand_alone() -> None:
    tokenizer = train_tokenizer(["170 cm 170 cm 170 cm"] * 9, 300)
    assert len(tokenizer.encode("170")) == 3
    assert len(tokenizer) < 300, "a small text must not fill the vocabulary with numbers"


def test_a_vocabulary_that_cannot_hold_the_bytes() -> None:
    with pytest.raises(InputError, match="too small"):
        train_tokenizer(TEXTS, 100)


def test_the_vocabulary_depends_on_the_texts_alone() -> None:
    program = (
        "import hashlib, sys; from cityscribe.models.tokenizer import train_tokenizer;"
        "tokenizer = train_tokenizer(sys.argv[1:], 400);"
        "print(hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest())"
    )
    here = hashlib.sha256(train_tokenizer(TEXTS, 400).backend_tokenizer.to_str().encode()).hexdigest()
    there = subprocess.run([sys.executable, "-c", program, *TEXTS], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here
