"""Models from parts: what they compute, how they are saved, and that the rest of the house takes them as any other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    CohereConfig,
    Gemma2Config,
    LlavaForConditionalGeneration,
    Qwen3Config,
)

from cityscribe.files import InputError
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.models.parts import connector, decoder_layers, named_parts, vision_tower
from cityscribe.models.settings import BlockExpansionSettings, LoraSettings, ModelSettings
from cityscribe.models.tuning.prepare import prepare_tuning
from cityscribe.models.vlm.compose import VlmParts, compose
from cityscribe.models.vlm.model import Vlm
from cityscribe.models.vlm.processor import VlmProcessor
from tests.models.test_block_expansion import learn
from tests.models.test_load import model_inputs, picture
from tests.models.vlm.composed import CLIP, COMPOSED, SIGLIP, TOKENIZER, parts, tiny

KINDS = pytest.mark.parametrize("kind", COMPOSED)


@KINDS
def test_a_saved_model_is_the_same_and_says_what_it_is(kind: str, tmp_path: Path) -> None:
    model, processor = tiny(COMPOSED[kind])
    assert isinstance(model, Vlm)
    inputs = model_inputs(processor)
    expected = model(**inputs).logits
    assert expected.isfinite().all()
    save_model(model, processor, tmp_path / "model")
    loaded = load_processor(tmp_path / "model")
    assert isinstance(loaded, VlmProcessor)
    again = model_inputs(loaded)
    assert all(torch.equal(again[name], inputs[name]) for name in inputs)
    assert torch.equal(load_model(tmp_path / "model", dtype=torch.float32)(**again).logits, expected)
    card = (tmp_path / "model" / "README.md").read_text()
    for part in (*COMPOSED[kind].towers, COMPOSED[kind].tiling, COMPOSED[kind].connector):
        assert f"| {part['kind']} (" in card
    assert f"| decoder | {COMPOSED[kind].decoder.model_type} |" in card


def test_the_auto_classes_of_transformers_take_it(tmp_path: Path) -> None:
    model, processor = tiny(parts())
    save_model(model, processor, tmp_path / "model")
    assert AutoConfig.from_pretrained(tmp_path / "model").towers == [CLIP]
    auto = AutoProcessor.from_pretrained(tmp_path / "model", backend="pil")
    inputs = model_inputs(auto)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path / "model")
    assert torch.equal(again(**inputs).logits, model(**model_inputs(processor)).logits)


@pytest.mark.parametrize("tower", [CLIP, SIGLIP], ids=["clip", "siglip"])
def test_parts_of_a_llava_are_a_llava_and_compute_what_it_does(tower: dict[str, Any], tmp_path: Path) -> None:
    """A connector of pools of one patch is an MLP under another name: the same weights give the same logits."""
    llava, llava_processor = tiny(parts(tower, connector={"kind": "mlp"}, text=Qwen3Config))
    assert type(llava) is LlavaForConditionalGeneration
    save_model(llava, llava_processor, tmp_path / "llava")
    assert not (tmp_path / "llava" / "README.md").exists()
    inputs = model_inputs(AutoProcessor.from_pretrained(tmp_path / "llava", backend="pil"))
    expected = AutoModelForImageTextToText.from_pretrained(tmp_path / "llava")(**inputs).logits

    ours, processor = tiny(parts(tower, connector={"kind": "average-pooling", "pool": 1}, text=Qwen3Config))
    ours.model.vision_tower[0].model.load_state_dict(llava.model.vision_tower.state_dict())
    projector = llava.model.multi_modal_projector
    ours.model.connector.layers[0].load_state_dict(projector.linear_1.state_dict())
    ours.model.connector.layers[2].load_state_dict(projector.linear_2.state_dict())
    ours.model.language_model.load_state_dict(llava.model.language_model.state_dict())
    ours.lm_head.load_state_dict(llava.lm_head.state_dict())
    composed = model_inputs(processor)
    assert torch.equal(composed["input_ids"], inputs["input_ids"])
    torch.testing.assert_close(composed["pixel_values"], inputs["pixel_values"], atol=1e-6, rtol=0)
    torch.testing.assert_close(ours(**composed).logits, expected, atol=1e-4, rtol=1e-5)


@KINDS
def test_methods_of_tuning_leave_it_as_it_is_at_first(kind: str, tmp_path: Path) -> None:
    model, processor = tiny(COMPOSED[kind])
    inputs = model_inputs(processor)
    expected = model(**inputs).logits
    assert {part for part, found in named_parts(model) if found} == {
        "connector",
        "vision_tower",
        "embeddings",
        "decoder",
        "head",
    }
    expanded = copy.deepcopy(model)
    prepare_tuning(expanded, ModelSettings(method="block-expansion", block_expansion=BlockExpansionSettings(blocks=2)))
    assert len(decoder_layers(expanded)) == len(decoder_layers(model)) + 2
    assert torch.equal(expanded(**inputs).logits, expected)

    torch.manual_seed(0)
    lora = LoraSettings(rank=2, parts=("decoder", "connector", "vision_tower"))
    prepare_tuning(model, ModelSettings(method="lora", lora=lora))
    torch.testing.assert_close(model(**inputs).logits, expected, atol=1e-5, rtol=0)
    learn(model)
    learnt = model(**inputs).logits
    assert (learnt - expected).abs().max() > 0.5
    save_model(model, processor, tmp_path / "model")
    merged = load_model(tmp_path / "model", dtype=torch.float32)
    # Random weights of this size multiply a difference in the last digit a thousandfold.
    torch.testing.assert_close(merged(**inputs).logits, learnt, atol=5e-3, rtol=0)


def test_a_frozen_tower_is_computed_without_a_gradient_and_trains_when_asked() -> None:
    model, processor = tiny(parts())
    inputs = model_inputs(processor)
    prepare_tuning(model, ModelSettings(method="connector"))
    seen: list[bool] = []
    model.model.connector.register_forward_pre_hook(lambda _, given: seen.append(given[0].requires_grad))
    model(**inputs).logits.sum().backward()
    assert seen == [False]
    assert all(p.grad is not None for module in connector(model) for p in module.parameters())
    prepare_tuning(model, ModelSettings(method="full"))
    model(**inputs).logits.sum().backward()
    assert seen == [False, True]
    tower = vision_tower(model)
    assert tower is not None
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in tower.parameters())


def test_a_letterbox_keeps_the_shape_and_shows_all() -> None:
    _, processor = tiny(parts(tiling={"kind": "letterbox"}))
    images = processor.image_processor
    wide = images.preprocess([picture(0, (64, 16))], return_tensors="pt")["pixel_values"][0]
    assert (wide[:, :12] == 0).all()
    assert (wide[:, 20:] == 0).all(), "the mean colour above and below"
    assert (wide[:, 12:20] != 0).any(dim=0).float().mean() > 0.9
    tall = images.preprocess([picture(0, (16, 64))], return_tensors="pt")["pixel_values"][0]
    assert (tall[:, :, :12] == 0).all()


BROKEN: dict[str, tuple[Callable[[], VlmParts], str]] = {
    "no such tower": (lambda: parts({"kind": "clap"}), "vision-tower clap: there is none .* did you mean clip"),
    "option of none": (lambda: parts(connector={"kind": "mlp", "pool": 2}), "connector mlp: does not take .*pool"),
    "wrong value": (lambda: parts(connector={"kind": "average-pooling", "pool": 0}), "average-pooling: pool: 0"),
    "grids that differ": (
        lambda: parts(CLIP, {**SIGLIP, "config": {**SIGLIP["config"], "patch_size": 8}}),
        "vision-tower siglip: its grid is 2 x 2, that of the first tower 4 x 4",
    ),
    "layer of none": (lambda: parts({**CLIP, "layer": 9}), "vision-tower clip: layer 9: there are 3 layers"),
    "scaled logits": (
        lambda: replace(parts(CLIP), decoder=CohereConfig()),
        "decoder: logit_scale is 0.0625: a model of type `cohere` changes the logits",
    ),
    "capped logits": (
        lambda: replace(parts(CLIP), decoder=Gemma2Config()),
        "decoder: final_logit_softcapping is 30: a model of type `gemma2` changes the logits",
    ),
    "patches": (
        lambda: parts({**CLIP, "config": {**CLIP["config"], "patch_size": 7}}),
        "vision-tower clip: image_size 32 is no multiple of patch_size 7",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_parts_that_cannot_be_are_refused_by_name(fault: str) -> None:
    make, message = BROKEN[fault]
    with pytest.raises(InputError, match=message):
        compose(make(), TOKENIZER)
