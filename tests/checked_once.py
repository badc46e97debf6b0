"""Before its first step a training checks its model on its samples, which takes longer than the few steps of a test.

Many tests train the same weights on the same samples: the check comes to the same, and is made once in a test process.

    check_once(cityscribe.train.ready)

What the check itself finds is tested on `cityscribe.train.exact`, which stays as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.records import Sample
from cityscribe.train.exact import _compared
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tree_attention import TreeAttention

OF_LATER_STEPS = {
    *("epochs", "max_steps", "lr", "lr_scales", "warmup", "schedule", "weight_decay", "max_grad_norm", "batch_groups"),
    *("accumulate", "save_steps", "keep_checkpoints", "validation", "report_to", "seed"),
}
"""Settings that the check does not know of."""


def check_once(module: ModuleType) -> None:
    """Have the checks that a module calls remember what they have come to."""
    for name in ("check_tree", "check_rows"):
        setattr(module, name, _once(getattr(module, name)))


def _once(check: Callable[..., float]) -> Callable[..., float]:
    known: dict[str, float] = {}

    @wraps(check)
    def checked(model: PreTrainedModel, *given: Any, **more: Any) -> float:
        key = _digest(model, given, more)
        if key not in known:
            known[key] = check(model, *given, **more)
        return known[key]

    return checked


def _digest(model: PreTrainedModel, given: tuple[Any, ...], more: dict[str, Any]) -> str:
    """Of all that a check goes by: the weights to the last bit, how they train, the samples and their pictures."""
    digest = hashlib.sha256(repr((type(model), model.config.to_json_string(), sorted(more.items()))).encode())
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        digest.update(f"{name} {tensor.shape} {tensor.dtype} {tensor.requires_grad}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    for one in given:
        if isinstance(one, TreeAttention):
            digest.update(repr(one).encode())
        elif isinstance(one, TrainSettings):
            digest.update(one.model_dump_json(exclude=OF_LATER_STEPS).encode())
        elif isinstance(one, ProcessorMixin):
            digest.update(repr((type(one), one, one.chat_template)).encode())
        elif isinstance(one, Path):
            root = one
        else:
            samples = _samples(one)
    digest.update(repr((root, samples)).encode())
    for sample in samples:
        for path in (root / name for name in sample.images):
            digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def _samples(groups: Sequence[Sequence[Sample]]) -> list[Sample]:
    return [sample for part in _compared(groups) for sample in part]
