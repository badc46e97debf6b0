"""A plan says what a training holds and computes: counted to the byte where it can be, else within a stated factor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cityscribe.models.load import load_config, load_model, load_processor
from cityscribe.models.settings import ModelSettings
from cityscribe.models.tuning.prepare import prepare_tuning
from cityscribe.plan.base import without_weights
from cityscribe.plan.estimate import plan_of
from cityscribe.plan.memory import activation_bytes, logit_bytes, memory_of, weight_bytes
from cityscribe.plan.tokens import _qwen, counted, image_tokens
from cityscribe.plan.work import work_of
from cityscribe.project import resolve

FACTOR = 2.5
"""How far the estimate of activations may be from what a small model keeps."""


@pytest.mark.parametrize("method", ["block-expansion", "lora", "full"])
def test_what_a_training_holds_is_counted_to_the_byte(method: str, tiny: Callable[[str], Path]) -> None:
    """One step of AdamW on a small model, and the bytes that the autograd graph keeps for it."""
    model = load_model(tiny("llava"), dtype=torch.float32).train()
    prepare_tuning(model, ModelSettings.model_validate({"method": method, "lora": {"rank": 4}}))
    tokens = 200
    ids = torch.randint(5, 300, (1, tokens), generator=torch.Generator().manual_seed(0))
    kept: dict[int, int] = {}
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    trains = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trains, lr=1e-3)
    optimizer.step()
    planned = memory_of(model, four_bit=False, tokens=tokens, computes=torch.float32, checkpointing=False)
    assert planned.weights == sum(p.nbytes for p in model.parameters())
    assert planned.gradients == sum(p.grad.nbytes for p in trains if p.grad is not None) + sum(
        p.nbytes
        for p in trains
        if p.grad is None  # of what reads images, which this text has none of
    )
    moments = [value for state in optimizer.state.values() for name, value in state.items() if name != "step"]
    unseen = sum(2 * p.nbytes for p in trains if p.grad is None)
    assert planned.moments == sum(value.nbytes for value in moments) + unseen
    logits = logit_bytes(model.config.get_text_config().vocab_size, tokens)
    tower = method == "full"  # and of the vision tower, that this text does not need
    if not tower:
        estimate = activation_bytes(model, tokens, torch.float32, False) - logits
        decoder_only = sum(kept.values()) - 2 * logits // 3
        assert decoder_only / FACTOR < estimate < FACTOR * decoder_only, (estimate, decoder_only)


def test_shared_out_each_device_holds_its_part(tiny: Callable[[str], Path]) -> None:
    model = without_weights(load_config(tiny("llava")))
    common: Any = {"four_bit": False, "tokens": 100, "computes": torch.bfloat16, "checkpointing": True}
    whole, part = memory_of(model, **common), memory_of(model, devices=4, sharing="fsdp2", **common)
    assert (part.weights, part.moments) == (whole.weights // 4, whole.moments // 4)
    assert part.activations == whole.activations
    elsewhere = memory_of(model, offloaded=True, **common)
    assert whole.activations - elsewhere.activations == 4 * 100 * 32 * (4 + 3)  # bytes, tokens, width, layers of both
    assert weight_bytes(model, True, torch.bfloat16) < whole.weights


def test_operations_are_those_of_its_matrices(tiny: Callable[[str], Path]) -> None:
    """Forward and backward of the decoder as torch counts them, without attention, for all that trains."""
    from torch.utils.flop_counter import FlopCounterMode

    model = load_model(tiny("llava"), dtype=torch.float32).train().requires_grad_(True)
    tokens = 64
    ids = torch.randint(5, 300, (1, tokens), generator=torch.Generator().manual_seed(0))
    counter = FlopCounterMode(display=False)
    with counter:
        model(input_ids=ids, labels=ids).loss.backward()
    text = model.config.get_text_config()
    planned = work_of(
        model, tokens=tokens, trained_tokens=tokens, patches=0, context=tokens / 2, checkpointing=False
    ).decoder
    attention = 4 * text.num_hidden_layers * 3 * tokens * tokens * text.hidden_size / 2
    matrices = sum(value for name, value in counter.get_flop_counts()["Global"].items() if "attention" not in str(name))
    assert planned - attention / 1 == pytest.approx(matrices, rel=0.03)


@pytest.mark.parametrize("family", ["llava", "smolvlm", "llava-onevision"])
def test_images_are_as_many_tokens_as_their_processor_makes_them(family: str, tiny: Callable[[str], Path]) -> None:
    processor, config = load_processor(tiny(family)), load_config(tiny(family))
    for size in ((64, 36), (40, 40)):
        rule = image_tokens(config, size, alone=False)
        found = counted(processor, [size] * 3) - counted(processor, [size] * 2)
        assert rule == pytest.approx(found, rel=0.5 if family == "smolvlm" else 0.01)


def test_qwen_counts_as_its_processor() -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    for width, height in ((1920, 1080), (672, 378), (30, 30), (8000, 6000), (333, 777)):
        high, wide = smart_resize(height, width, factor=28, min_pixels=3136, max_pixels=12845056)
        assert _qwen((width, height), 28, 3136, 12845056) == high * wide // 28**2


def test_a_plan_of_nothing_is_refused(tmp_path: Path) -> None:
    from cityscribe.files import InputError

    with pytest.raises(InputError, match="nothing trains"):
        plan_of(resolve({"data": {"path": "x"}, "model": {"method": "none"}}))
