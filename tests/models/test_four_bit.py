"""QLoRA: the decoder in four bits, adapters that always learn, and a merge into the weights as they were before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import nn
from transformers import AutoModelForImageTextToText, PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.models import four_bit
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.models.parts import decoder_layers
from cityscribe.models.settings import LoraSettings, ModelSettings
from cityscribe.models.tuning.prepare import load_for_tuning, prepare_tuning
from tests import tiny_models
from tests.models.test_block_expansion import learn
from tests.models.test_load import model_inputs
from tests.tiny_models import FAMILIES

bitsandbytes = pytest.importorskip("bitsandbytes")

Checkpoint = Callable[[str], Path]


FOUR_BIT_FAMILIES = [family for family in FAMILIES if family != "llava"]  # llava-next without tiles is one


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkpoint]:
    """Tiny checkpoints whose decoders are 64 wide, the least that four bits take."""
    folder = tmp_path_factory.mktemp("wide")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"hidden_size": 64, "num_attention_heads": 8}.items():
            patch.setitem(tiny_models.TEXT, name, value)
        patch.setitem(tiny_models.QWEN_VISION, "out_hidden_size", 64)

        def checkpoint(family: str) -> Path:
            path = folder / family
            return path if path.exists() else tiny_models.tiny_checkpoint(family, path)

        yield checkpoint


def settings_for(base: Path, **changes: Any) -> ModelSettings:
    return ModelSettings(base=str(base), method="qlora", lora=LoraSettings(rank=2, alpha=4), **changes)


def prepared(settings: ModelSettings) -> tuple[PreTrainedModel, ProcessorMixin]:
    model, processor = load_for_tuning(settings, dtype=torch.float32)
    prepare_tuning(model, settings)
    return model, processor


@pytest.mark.parametrize("family", ["llava-next", "qwen2.5-vl", "smolvlm"])
def test_all_linear_layers_of_the_decoder_are_in_four_bits_and_no_others(family: str, wide: Checkpoint) -> None:
    model = load_model(wide(family), dtype=torch.float32, four_bit=True)
    inside = {id(module) for layer in decoder_layers(model) for module in layer.modules()}
    for module in model.modules():
        if isinstance(module, nn.Linear):
            assert isinstance(module, bitsandbytes.nn.Linear4bit) == (id(module) in inside)


@pytest.mark.parametrize("family", ["llava-next", "qwen2.5-vl"])
@torch.no_grad()
def test_it_computes_what_its_weights_say(family: str, wide: Checkpoint) -> None:
    model, inputs = (
        load_model(wide(family), dtype=torch.float32, four_bit=True),
        model_inputs(load_processor(wide(family))),
    )
    plain = load_model(wide(family), dtype=torch.float32)
    for name, module in model.named_modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            rounded = bitsandbytes.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
            weight = plain.get_submodule(name).weight
            assert 0.05 < (rounded - weight).norm() / weight.norm() < 0.12
            weight.copy_(rounded)
    torch.testing.assert_close(model(**inputs).logits, plain(**inputs).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", FOUR_BIT_FAMILIES)
def test_every_adapter_gets_a_gradient_after_the_model_was_used(family: str, wide: Checkpoint) -> None:
    model, processor = prepared(settings_for(wide(family)))
    inputs = model_inputs(processor)
    model.eval()
    with torch.no_grad():
        before = model(**inputs).logits
    learn(model)
    model.train()
    model(**inputs, labels=inputs["input_ids"]).loss.backward()
    adapters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert len(adapters) == 4 * 7 * 2
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in adapters)
    assert not torch.equal(model.eval()(**inputs).logits, before)


@pytest.mark.parametrize("family", ["llava-next", "qwen3-vl"])
def test_adapters_are_merged_into_the_weights_as_they_were(family: str, wide: Checkpoint, tmp_path: Path) -> None:
    model, processor = prepared(settings_for(wide(family)))
    learn(model)
    save_model(model, processor, tmp_path / "model")

    plain = AutoModelForImageTextToText.from_pretrained(tmp_path / "model")
    base = AutoModelForImageTextToText.from_pretrained(wide(family))
    assert "quantization_config" not in plain.config.to_dict()
    layers = {
        f"{name}.weight": module for name, module in model.named_modules() if "lora_A" in dict(module.named_children())
    }
    assert len(layers) == 4 * 7
    for name, weight in base.state_dict().items():
        expected = weight
        if name in layers:
            expected = weight + 2.0 * layers[name].lora_B["default"].weight @ layers[name].lora_A["default"].weight
        torch.testing.assert_close(plain.state_dict()[name], expected, rtol=1e-6, atol=1e-6)
    adapted = PeftModel.from_pretrained(base, tmp_path / "model" / "adapter")
    inputs = model_inputs(processor)
    torch.testing.assert_close(adapted(**inputs).logits, plain(**inputs).logits, rtol=1e-4, atol=1e-4)


def test_a_part_that_trains_beside_the_adapters_is_saved_too(wide: Checkpoint, tmp_path: Path) -> None:
    model, processor = prepared(settings_for(wide("llava-next"), tiles=False, unfreeze=("connector",)))
    learn(model)
    save_model(model, processor, tmp_path / "model")
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path / "model")
    assert plain.config.model_type == "llava"
    saved = plain.model.multi_modal_projector.state_dict()
    assert all(torch.equal(saved[n], value) for n, value in model.model.multi_modal_projector.state_dict().items())
    base = load_model(wide("llava-next"), dtype=torch.float32)
    assert not torch.equal(saved["linear_1.weight"], base.model.multi_modal_projector.linear_1.weight)


def test_the_report_counts_weights_and_not_bytes(wide: Checkpoint) -> None:
    settings = settings_for(wide("llava-next"))
    report = prepare_tuning(load_for_tuning(settings, dtype=torch.float32)[0], settings)
    counts = {part.part: part.total for part in report.parts}
    base = load_model(wide("llava-next"), dtype=torch.float32)
    assert sum(counts.values()) - counts["new"] == sum(p.numel() for p in base.parameters())


def test_four_bits_cannot_train(wide: Checkpoint) -> None:
    settings = settings_for(wide("llava-next"), unfreeze=("decoder",))
    with pytest.raises(InputError, match=r"model\.unfreeze: .* four bits"):
        prepared(settings)


def test_a_model_that_was_loaded_for_another_method(wide: Checkpoint) -> None:
    with pytest.raises(ValueError, match="four_bit=True"):
        prepare_tuning(load_model(wide("llava-next"), dtype=torch.float32), settings_for(wide("llava-next")))


def test_layers_that_are_read_back_wrongly_are_refused(tiny: Checkpoint) -> None:
    with pytest.raises(InputError, match=r"q_proj` reads 32 values, no multiple of 64"):
        load_model(tiny("llava"), dtype=torch.float32, four_bit=True)


def test_a_missing_library_is_named(wide: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(four_bit, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'cityscribe\[qlora\]'"):
        load_model(wide("llava-next"), dtype=torch.float32, four_bit=True)
