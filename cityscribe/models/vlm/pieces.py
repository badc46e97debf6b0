"""A part of a published model, read from its files without making the rest of the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from safetensors import safe_open
from torch import Tensor
from transformers import PreTrainedConfig


def weights_below(base: str, prefix: str, wanted: Iterable[str]) -> dict[str, Tensor]:
    """The weights `wanted` of a folder or a hub id, in float32, whose names in its safetensors begin with a prefix.

    Newer checkpoints put `model.` before all names. Raises ValueError where one is missing.
    """
    folder = Path(base) if Path(base).is_dir() else Path(snapshot_download(base, allow_patterns="*.safetensors"))
    names = {f"{root}{prefix}{name}": name for name in wanted for root in ("", "model.")}
    found: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            stored = set(tensors.keys())
            found |= {names[name]: tensors.get_tensor(name).to(torch.float32) for name in sorted(stored & names.keys())}
    if missing := sorted(set(names.values()) - found.keys()):
        raise ValueError(f"has no `{prefix}{missing[0]}` in its safetensors")
    return found


def config_values(config: PreTrainedConfig) -> Mapping[str, Any]:
    """What a configuration has other than its class, as options of a part; not which program wrote it, nor for what."""
    values = config.to_diff_dict()
    return {name: value for name, value in values.items() if name not in ("transformers_version", "architectures")}
