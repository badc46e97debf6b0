"""Low-rank adapters: in place, in the decoder only, and merged when saved."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import nn
from transformers import AutoModelForImageTextToText

from cityscribe.files import InputError
from cityscribe.models.load import load_model, load_processor, round_weights, save_model
from cityscribe.models.parts import connector, vision_tower
from cityscribe.models.settings import LoraSettings, ModelSettings
from cityscribe.models.tuning.lora import is_adapter, target_names
from cityscribe.models.tuning.prepare import prepare_tuning
from tests.models.test_block_expansion import learn
from tests.models.test_load import model_inputs
from tests.tiny_models import FAMILIES

Checkpoint = Callable[[str], Path]
LORA = ModelSettings(method="lora", lora=LoraSettings(rank=3, alpha=6))
PARTS = ("decoder", "connector", "vision_tower")
DORA = LORA.model_copy(update={"method": "dora"})


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("llava", LORA),
        ("llava-next", LORA),
        ("qwen2.5-vl", LORA),
        ("qwen3-vl", LORA),
        ("llava", DORA),
        ("qwen3-vl", DORA),
    ],
)
def test_merged_weights_compute_what_the_adapters_computed(
    family: str, settings: ModelSettings, tiny: Checkpoint, tmp_path: Path
) -> None:
    model, processor = load_model(tiny(family), dtype=torch.float32), load_processor(tiny(family))
    inputs = model_inputs(processor)
    before = model(**inputs).logits
    prepare_tuning(model, settings)
    assert torch.equal(model(**inputs).logits, before), "adapters must start silent"
    learn(model)
    tuned = model(**inputs).logits
    assert (tuned - before).abs().max() > 1e-2
    save_model(model, processor, tmp_path / "model")
    assert torch.equal(model(**inputs).logits, tuned), "saving must not change the model"
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path / "model")
    torch.testing.assert_close(plain(**inputs).logits, tuned, rtol=1e-4, atol=1e-4)
    said = [m.generate(**inputs, max_new_tokens=12, do_sample=False) for m in (model, plain)]
    assert torch.equal(*said)
    assert {n for n, _ in plain.named_parameters()} == {
        n for n, _ in AutoModelForImageTextToText.from_pretrained(tiny(family)).named_parameters()
    }

    base = AutoModelForImageTextToText.from_pretrained(tiny(family))
    adapted = PeftModel.from_pretrained(base, tmp_path / "model" / "adapter")
    torch.testing.assert_close(adapted(**inputs).logits, tuned, rtol=1e-4, atol=1e-4)


def test_merging_in_bf16_rounds_once(tiny: Checkpoint, tmp_path: Path) -> None:
    model = load_model(tiny("llava"), dtype=torch.bfloat16)
    prepare_tuning(model, LORA)
    learn(model)
    save_model(model, load_processor(tiny("llava")), tmp_path / "model")
    projection = model.model.language_model.layers[1].self_attn.q_proj
    product = projection.lora_B["default"].weight.float() @ projection.lora_A["default"].weight.float()
    expected = (projection.base_layer.weight.float() + 2.0 * product).bfloat16()
    merged = load_model(tmp_path / "model", dtype=torch.bfloat16).model.language_model.layers[1].self_attn.q_proj.weight
    assert torch.equal(merged, expected)


def test_dora_starts_silent_on_weights_of_bf16(tiny: Checkpoint) -> None:
    model, inputs = load_model(tiny("llava"), dtype=torch.bfloat16), model_inputs(load_processor(tiny("llava")))
    prepare_tuning(model, DORA)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    with torch.autocast("cpu", torch.bfloat16):
        tuned = model(**inputs).logits
        plain = load_model(tiny("llava"), dtype=torch.bfloat16)(**inputs).logits
    assert torch.equal(tuned, plain)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_adapter_gets_a_gradient(family: str, tiny: Checkpoint) -> None:
    model, inputs = load_model(tiny(family), dtype=torch.float32), model_inputs(load_processor(tiny(family)))
    prepare_tuning(model, DORA)
    learn(model)
    model.train()
    model(**inputs, labels=inputs["input_ids"]).loss.backward()
    adapters = {name: p for name, p in model.named_parameters() if ".lora_" in name}
    assert len(adapters) == 4 * 7 * 3
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in adapters.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_adapters_go_where_they_are_asked_for(family: str, tiny: Checkpoint, tmp_path: Path) -> None:
    model, processor = load_model(tiny(family), dtype=torch.float32), load_processor(tiny(family))
    parts = tuple(part for part in PARTS if (family, part) != ("gemma3", "connector"))  # it has no linear layer
    tower = vision_tower(model)
    assert tower is not None
    linear = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    between = {id(m) for part in connector(model) for m in part.modules()}
    found = {part: target_names(model, None, (part,)) for part in parts}
    ids = {part: {id(model.get_submodule(name)) for name in found[part]} for part in parts}
    assert ids["vision_tower"] == {id(model.get_submodule(n)) for n in linear} & set(map(id, tower.modules())) - between
    assert ids.get("connector", set()) == {id(model.get_submodule(n)) for n in linear} & between
    assert linear - set(chain(*found.values())) == {"lm_head"}

    prepare_tuning(model, ModelSettings(method="lora", lora=LoraSettings(rank=2, parts=parts)))
    learn(model)
    save_model(model, processor, tmp_path / "model")
    saved, base = (load_model(path, dtype=torch.float32) for path in (tmp_path / "model", tiny(family)))
    for name in linear:
        expected = base.get_submodule(name).weight
        if name != "lm_head":
            expected = expected + model.get_submodule(name).get_delta_weight("default")
        torch.testing.assert_close(saved.get_submodule(name).weight, expected, rtol=1e-5, atol=1e-6)


def test_a_part_without_linear_layers(tiny: Checkpoint) -> None:
    with pytest.raises(InputError, match=r"model\.lora\.parts: Gemma3.* has no linear layers in its connector"):
        target_names(load_model(tiny("gemma3"), dtype=torch.float32), None, ("decoder", "connector"))


def test_targets_stay_in_the_decoder(tiny: Checkpoint) -> None:
    model = load_model(tiny("llava"), dtype=torch.float32)
    chosen = target_names(model, ("q_proj", "mlp.up_proj"))
    assert chosen == [
        f"model.language_model.layers.{layer}.{name}"
        for layer in range(4)
        for name in ("self_attn.q_proj", "mlp.up_proj")
    ]
    assert len(target_names(model, None)) == 4 * 7


def test_a_target_that_names_nothing(tiny: Checkpoint) -> None:
    model = load_model(tiny("llava"), dtype=torch.float32)
    with pytest.raises(InputError, match="decoder has no `qkv_proj`; it has down_proj, gate_proj"):
        target_names(model, ("q_proj", "qkv_proj"))


def test_weights_are_rounded_and_adapters_are_not(tiny: Callable[[str], Path]) -> None:
    """A base stored in bfloat16 gets its adapters merged at full precision, and rounded once."""
    model = load_model(tiny("llava"), dtype=torch.float32)
    prepare_tuning(model, ModelSettings(method="lora"))
    round_weights(model, torch.bfloat16)
    kinds = {is_adapter(name): set() for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        kinds[is_adapter(name)].add(parameter.dtype)
    assert kinds == {True: {torch.float32}, False: {torch.bfloat16}}
