"""What shows the curves of a training beside `curve.jsonl`, by name. Importing this loads none of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cityscribe.registry import Registry

REPORTERS: Registry[Callable[..., list[Any]]] = Registry("reporter", "where the curves go as well (train.report_to)")
REPORTERS.add(
    "tensorboard", "cityscribe.train.reporters:to_tensorboard", "files that TensorBoard reads", extra="tensorboard"
)
REPORTERS.add("wandb", "cityscribe.train.reporters:to_wandb", "Weights & Biases", extra="wandb")
