"""Low-rank adapters: in place, in the decoder only, and merged when saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForImageTextToText

from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.models.lora import target_names
from cityscribe.models.tuning import prepare_tuning
from cityscribe.records import InputError
from cityscribe.settings import LoraSettings, ModelSettings
from tests.models.test_block_expansion import learn
from tests.models.test_load import model_inputs

Checkpoint = Callable[[str], Path]
LORA = ModelSettings(method="lora", lora=LoraSettings(rank=3, alpha=6))


@pytest.mark.parametrize("family", ["llava", "llava-next", "qwen2.5-vl", "qwen3-vl"])
def test_merged_weights_compute_what_the_adapters_computed(family: str, tiny: Checkpoint, tmp_path: Path) -> None:
    model, processor = load_model(tiny(family), dtype=torch.float32), load_processor(tiny(family))
    inputs = model_inputs(processor)
    before = model(**inputs).logits
    prepare_tuning(model, LORA)
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
    with pytest.raises(InputError, match="no `qkv_proj`; it has down_proj, gate_proj"):
        target_names(model, ("q_proj", "qkv_proj"))
