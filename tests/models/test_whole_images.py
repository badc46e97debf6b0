"""LLaVA-NeXT weights as a plain LLaVA: two whole images, the same weights, an ordinary LLaVA on disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    LlavaForConditionalGeneration,
    LlavaNextForConditionalGeneration,
    LlavaProcessor,
)

from cityscribe.files import InputError
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.models.settings import BlockExpansionSettings, ModelSettings
from cityscribe.models.tuning.prepare import load_for_tuning, prepare_tuning
from tests.models.test_block_expansion import RELEASED, WEIGHTS, learn, renamed
from tests.models.test_load import model_inputs, picture

Checkpoint = Callable[[str], Path]
SIDE, TOKENS = 16, 4  # of the tiny tower, where the released ones have 336 pixels and 576 tokens


def test_two_images_give_two_squares_of_tokens(tiny: Checkpoint) -> None:
    processor = load_processor(tiny("llava-next"), tiles=False)
    inputs = model_inputs(processor, images=2)
    assert type(processor) is LlavaProcessor
    assert inputs["pixel_values"].shape == (2, 3, SIDE, SIDE)
    assert (inputs["input_ids"] == processor.image_token_id).sum() == 2 * TOKENS
    assert load_model(tiny("llava-next"), dtype=torch.float32, tiles=False).config.image_seq_length == TOKENS


def test_an_image_is_resized_whole_and_nothing_else(tiny: Checkpoint) -> None:
    processor = load_processor(tiny("llava-next"), tiles=False)
    pixels = processor.image_processor(picture(size=(48, 20)), return_tensors="pt")["pixel_values"][0]
    resized = np.asarray(picture(size=(48, 20)).resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float32)
    mean, std = (
        np.array(values) for values in (processor.image_processor.image_mean, processor.image_processor.image_std)
    )
    np.testing.assert_allclose(pixels.permute(1, 2, 0).numpy(), (resized / 255 - mean) / std, atol=1e-5)


@torch.no_grad()
def test_the_logits_are_those_of_the_same_weights_put_together_by_hand(tiny: Checkpoint) -> None:
    inputs = model_inputs(load_processor(tiny("llava-next"), tiles=False), images=2)
    plain = load_model(tiny("llava-next"), dtype=torch.float32, tiles=False)(**inputs).logits

    source = LlavaNextForConditionalGeneration.from_pretrained(tiny("llava-next"))
    parts = source.model
    states = parts.vision_tower(inputs["pixel_values"], output_hidden_states=True).hidden_states[-2]
    features = parts.multi_modal_projector(states[:, 1:])  # without the class token  # [2, tokens, width]
    embedded = source.get_input_embeddings()(inputs["input_ids"])
    embedded[inputs["input_ids"] == source.config.image_token_index] = features.flatten(0, 1)
    by_hand = source.lm_head(parts.language_model(inputs_embeds=embedded).last_hidden_state)
    torch.testing.assert_close(plain, by_hand, rtol=1e-6, atol=1e-6)


def test_what_is_saved_is_a_plain_llava(tiny: Checkpoint, tmp_path: Path) -> None:
    settings = ModelSettings(
        base=str(tiny("llava-next")), tiles=False, block_expansion=BlockExpansionSettings(blocks=2)
    )
    model, processor = load_for_tuning(settings, dtype=torch.float32)
    prepare_tuning(model, settings)
    learn(model)
    save_model(model, processor, tmp_path / "model")

    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["model_type"] == "llava"
    assert config["architectures"] == ["LlavaForConditionalGeneration"]
    assert not any("image_newline" in name for name in load_file(tmp_path / "model" / WEIGHTS))
    assert not any("Next" in file.read_text() for file in (tmp_path / "model").glob("*.json"))
    stock = LlavaForConditionalGeneration.from_pretrained(tmp_path / "model")
    assert type(AutoModelForImageTextToText.from_pretrained(tmp_path / "model")) is type(stock)
    read = AutoProcessor.from_pretrained(tmp_path / "model", backend="pil")
    assert type(read) is LlavaProcessor
    assert read.chat_template == load_processor(tiny("llava-next")).chat_template
    inputs, expected = model_inputs(read), model_inputs(processor)
    assert all(torch.equal(inputs[name], expected[name]) for name in expected)
    assert torch.equal(stock(**inputs).logits, model(**expected).logits)


def test_a_plain_llava_stays_as_it_is(tiny: Checkpoint) -> None:
    inputs = model_inputs(load_processor(tiny("llava")))
    without = model_inputs(load_processor(tiny("llava"), tiles=False))
    assert all(torch.equal(inputs[name], without[name]) for name in inputs)
    models = [load_model(tiny("llava"), dtype=torch.float32, tiles=tiles) for tiles in (True, False)]
    assert torch.equal(*(model(**inputs).logits for model in models))


def test_weights_under_released_names(tiny: Checkpoint, tmp_path: Path) -> None:
    shutil.copytree(tiny("llava-next"), tmp_path / "base")
    weights = load_file(tmp_path / "base" / WEIGHTS)
    weights = {renamed(name, RELEASED["llava"]): value for name, value in weights.items()}
    assert "image_newline" in weights
    assert "language_model.lm_head.weight" in weights
    save_file(weights, tmp_path / "base" / WEIGHTS, metadata={"format": "pt"})
    models = [load_model(base, dtype=torch.float32, tiles=False) for base in (tiny("llava-next"), tmp_path / "base")]
    one, two = (model.state_dict() for model in models)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_head_of_its_own_stays_its_own(tiny: Checkpoint, tmp_path: Path) -> None:
    shutil.copytree(tiny("llava-next"), tmp_path / "base")
    config = json.loads((tmp_path / "base" / "config.json").read_text())
    config["text_config"]["tie_word_embeddings"] = True
    (tmp_path / "base" / "config.json").write_text(json.dumps(config))
    stock = LlavaNextForConditionalGeneration.from_pretrained(tmp_path / "base")
    model = load_model(tmp_path / "base", dtype=torch.float32, tiles=False)
    assert torch.equal(model.lm_head.weight, stock.lm_head.weight)
    assert not torch.equal(model.lm_head.weight, model.get_input_embeddings().weight)
    assert not model.config.tie_word_embeddings, "other software goes by this"
    assert not model.config.get_text_config().tie_word_embeddings


@pytest.mark.parametrize("family", ["llava-onevision", "qwen2.5-vl"])
def test_other_families_are_refused(family: str, tiny: Checkpoint) -> None:
    for load in (
        lambda: load_processor(tiny(family), tiles=False),
        lambda: load_model(tiny(family), dtype=torch.float32, tiles=False),
    ):
        with pytest.raises(InputError, match=r"model\.tiles: only LLaVA-NeXT"):
            load()
