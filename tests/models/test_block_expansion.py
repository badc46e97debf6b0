"""Block expansion: the same output bit for bit, a checkpoint like any other, a vision tower that nobody touched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForImageTextToText, PreTrainedModel

from cityscribe.files import InputError
from cityscribe.models.build import build_tiny_llava
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.models.parts import decoder_layers, vision_tower
from cityscribe.models.settings import BlockExpansionSettings, ModelSettings
from cityscribe.models.tokenizer import train_tokenizer
from cityscribe.models.tuning.block_expansion import (
    deep_positions,
    even_positions,
    expand,
    first_position,
    usual_blocks,
)
from cityscribe.models.tuning.prepare import prepare_tuning
from tests.models.test_load import model_inputs
from tests.tiny_models import FAMILIES, TEXTS

Checkpoint = Callable[[str], Path]
WEIGHTS = "model.safetensors"
TWO_BLOCKS = ModelSettings(block_expansion=BlockExpansionSettings(blocks=2))


def learn(model: PreTrainedModel) -> None:
    """Move what trains, as if it had learned something."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def test_the_rule_of_the_paper() -> None:
    positions = even_positions(60, 12)
    assert [position + 1 + rank for rank, position in enumerate(positions)] == list(range(5, 72, 6))


@given(st.integers(1, 100), st.integers(1, 100), st.integers(0, 5))
def test_positions_are_distinct_even_and_end_with_the_last_layer(layers: int, blocks: int, first: int) -> None:
    if blocks > layers - first:
        with pytest.raises(InputError, match="offers"):
            even_positions(layers, blocks, first)
        return
    positions = even_positions(layers, blocks, first)
    assert len(positions) == blocks
    assert first <= positions[0]
    assert positions[-1] == layers - 1
    gaps = [later - earlier for earlier, later in pairwise(positions)]
    assert all(gap > 0 for gap in gaps)
    assert not gaps or max(gaps) - min(gaps) <= 1


@given(st.integers(1, 80), st.integers(1, 80), st.integers(1, 80), st.integers(0, 5))
def test_the_deepest_part_only(layers: int, blocks: int, deepest: int, first: int) -> None:
    if deepest > layers:
        with pytest.raises(InputError, match="deepest"):
            deep_positions(layers, blocks, deepest, first)
        return
    start = layers - deepest
    if blocks > layers - max(first, start):
        with pytest.raises(InputError, match="offers"):
            deep_positions(layers, blocks, deepest, first)
        return
    positions = deep_positions(layers, blocks, deepest, first)
    assert len(set(positions)) == blocks
    assert max(first, start) <= positions[0]
    assert positions[-1] == layers - 1
    if deepest == layers:
        assert positions == even_positions(layers, blocks, first)


def test_a_fifth_of_the_layers_is_usual_as_in_the_paper() -> None:
    assert [usual_blocks(layers) for layers in (1, 4, 6, 28, 32, 60)] == [1, 1, 1, 6, 6, 12]


def test_the_settings_choose_the_layers(tiny: Checkpoint) -> None:
    for expansion, expected in (
        (BlockExpansionSettings(blocks=2), [2, 5]),
        (BlockExpansionSettings(blocks=1, deepest=2), [4]),
        (BlockExpansionSettings(blocks=2, deepest=2), [3, 5]),
        (BlockExpansionSettings(blocks=4), [1, 3, 5, 7]),
        (BlockExpansionSettings(positions=(1, 0)), [1, 3]),
        (BlockExpansionSettings(), [4]),
    ):
        model = load_model(tiny("llava"), dtype=torch.float32)
        prepare_tuning(model, ModelSettings(block_expansion=expansion))
        new = new_layers(model)
        assert [i for i, layer in enumerate(decoder_layers(model)) if any(layer is n for n in new)] == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_the_output_is_identical_at_step_zero(family: str, tiny: Checkpoint) -> None:
    model, inputs = load_model(tiny(family), dtype=torch.float32), model_inputs(load_processor(tiny(family)))
    before = model(**inputs).logits
    said = model.generate(**inputs, max_new_tokens=12, do_sample=False)
    report = prepare_tuning(model, TWO_BLOCKS)
    assert (model(**inputs).logits - before).abs().max().item() == 0.0
    assert torch.equal(model.generate(**inputs, max_new_tokens=12, do_sample=False), said)
    assert report.trainable == sum(p.numel() for layer in new_layers(model) for p in layer.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_plain_transformers_predicts_the_same_from_the_saved_folder(
    family: str, tiny: Checkpoint, tmp_path: Path
) -> None:
    model, processor = load_model(tiny(family), dtype=torch.float32), load_processor(tiny(family))
    inputs = model_inputs(processor)
    before = model(**inputs).logits
    prepare_tuning(model, TWO_BLOCKS)
    learn(model)
    save_model(model, processor, tmp_path / "model")
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path / "model")
    logits = plain(**inputs).logits
    assert (logits - before).abs().max() > 1e-3
    assert torch.equal(logits, model(**inputs).logits)
    answers = [m.generate(**inputs, max_new_tokens=16, do_sample=False) for m in (model, plain)]
    assert torch.equal(*answers)
    without_cache = plain.generate(**inputs, max_new_tokens=16, do_sample=False, use_cache=False)
    assert torch.equal(without_cache, answers[0]), "a layer shares its cache with another"


@pytest.mark.parametrize("family", ["llava", "llava-next", "qwen2.5-vl", "qwen3-vl"])
def test_only_the_copies_get_gradients_and_the_vision_tower_stays(family: str, tiny: Checkpoint) -> None:
    model, inputs = load_model(tiny(family), dtype=torch.float32), model_inputs(load_processor(tiny(family)))
    tower = vision_tower(model)
    assert tower is not None
    before = {name: value.clone() for name, value in tower.state_dict().items()}
    depth = sum(isinstance(module, nn.ModuleList) for module in tower.modules())
    prepare_tuning(model, TWO_BLOCKS)
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(**inputs, labels=inputs["input_ids"]).loss.backward()
    copies = {id(parameter) for layer in new_layers(model) for parameter in layer.parameters()}
    assert all((parameter.grad is not None) == (id(parameter) in copies) for parameter in model.parameters())
    moved = [p for layer in new_layers(model) for n, p in layer.named_parameters() if "o_proj.weight" in n]
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in moved)
    optimizer.step()
    assert sum(isinstance(module, nn.ModuleList) for module in tower.modules()) == depth
    after = tower.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_everything_that_counts_layers_counts_the_new_ones(tiny: Checkpoint) -> None:
    model = load_model(tiny("gemma3"), dtype=torch.float32)
    expand(model, (0, 3))
    text = model.config.get_text_config()
    sliding, full = "sliding_attention", "full_attention"
    assert text.num_hidden_layers == 6
    assert text.layer_types == [sliding, sliding, full, sliding, full, full]
    assert [layer.self_attn.layer_idx for layer in decoder_layers(model)] == [0, 1, 2, 3, 4, 5]
    assert [layer.self_attn.is_sliding for layer in decoder_layers(model)] == [t == sliding for t in text.layer_types]
    assert len({id(layer.self_attn.config) for layer in decoder_layers(model)}) == 1


def test_sliding_windows_begin_at_the_same_layer_as_before(tiny: Checkpoint) -> None:
    model = load_model(tiny("qwen2.5-vl"), dtype=torch.float32)
    text = model.config.get_text_config()
    text.max_window_layers = 2
    expand(model, (0, 1, 3))
    assert text.max_window_layers == 4
    assert text.num_hidden_layers == len(text.layer_types) == 7


RELEASED = {
    "llava": [
        ("model.language_model.", "language_model.model."),
        ("lm_head.", "language_model.lm_head."),
        ("model.", ""),
    ],
    "qwen2.5-vl": [("model.language_model.", "model."), ("model.visual.", "visual.")],
}
"""What released checkpoints call their weights, where it is not what the classes of today call them."""


@pytest.mark.parametrize("family", RELEASED)
def test_a_checkpoint_with_released_names_keeps_them(family: str, tiny: Checkpoint, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny(family), base)
    weights = {renamed(name, RELEASED[family]): value for name, value in load_file(base / WEIGHTS).items()}
    save_file(weights, base / WEIGHTS, metadata={"format": "pt"})
    model, processor = load_model(base, dtype=torch.float32), load_processor(base)
    prepare_tuning(model, TWO_BLOCKS)
    learn(model)
    save_model(model, processor, tmp_path / "model")
    expanded = load_file(tmp_path / "model" / WEIGHTS)
    assert weights.keys() <= expanded.keys()
    assert all(".layers.4." in name or ".layers.5." in name for name in expanded.keys() - weights.keys())
    inputs = model_inputs(processor)
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path / "model")
    assert torch.equal(plain(**inputs).logits, model(**inputs).logits)


def renamed(name: str, rules: list[tuple[str, str]]) -> str:
    return next((new + name.removeprefix(old) for old, new in rules if name.startswith(old)), name)


def test_tied_weights_stay_tied(tiny: Checkpoint, tmp_path: Path) -> None:
    model, processor = load_model(tiny("llava"), dtype=torch.float32), load_processor(tiny("llava"))
    prepare_tuning(model, TWO_BLOCKS)
    save_model(model, processor, tmp_path / "model")
    again = load_model(tmp_path / "model", dtype=torch.float32)
    assert again.get_output_embeddings().weight is again.get_input_embeddings().weight
    assert again.get_input_embeddings().weight is not model.get_input_embeddings().weight


def test_expanding_twice(tiny: Checkpoint) -> None:
    model, inputs = load_model(tiny("qwen3-vl"), dtype=torch.float32), model_inputs(load_processor(tiny("qwen3-vl")))
    before = model(**inputs).logits
    expand(model, (1, 3))
    expand(model, (2, 5))
    assert len(decoder_layers(model)) == 8
    assert torch.equal(model(**inputs).logits, before)


def test_images_that_enter_by_layer_number_bound_the_positions(tiny: Checkpoint) -> None:
    model = load_model(tiny("qwen3-vl"), dtype=torch.float32)
    assert first_position(model) == 1
    with pytest.raises(InputError, match="from 1 to 3"):
        expand(model, (0, 2))
    assert even_positions(4, 3, first_position(model)) == (1, 2, 3)


@pytest.mark.parametrize("positions", [(4,), (-1,), (1, 1), ()])
def test_positions_that_do_not_exist(positions: tuple[int, ...], tiny: Checkpoint) -> None:
    with pytest.raises(InputError, match="positions"):
        expand(load_model(tiny("llava"), dtype=torch.float32), positions)


class Biased(nn.Linear):
    """Adds one to its output, so that zero weights do not silence it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + 1.0


REFUSED = {
    "without the projections": "layer 0: has no down_proj",
    "more than residual branches": "do more than add",
    "layers counted elsewhere": "another number of layers: IndexError",
}


@pytest.mark.parametrize("fault", REFUSED)
def test_decoders_that_cannot_be_expanded_are_refused_and_left_alone(fault: str) -> None:
    model, _ = build_tiny_llava(train_tokenizer(TEXTS, 320), image_size=32, text_layers=3, vision_layers=1)
    layers = decoder_layers(model)
    for layer in layers:
        if fault == "without the projections":
            layer.mlp = nn.Sequential(nn.Linear(256, 768), nn.Linear(768, 256))
        elif fault == "more than residual branches":
            layer.mlp.down_proj = Biased(768, 256)
        else:
            layer.register_forward_pre_hook(lambda module, _: [None, None, None][module.self_attn.layer_idx])
    config = model.config.to_dict()
    with pytest.raises(InputError, match=REFUSED[fault]):
        expand(model, (0, 2))
    assert decoder_layers(model) is layers
    assert len(layers) == 3
    assert model.config.to_dict() == config
    assert [layer.self_attn.layer_idx for layer in layers] == [0, 1, 2]


def new_layers(model: PreTrainedModel) -> list[nn.Module]:
    return [layer for layer in decoder_layers(model) if any(p.requires_grad for p in layer.parameters())]
