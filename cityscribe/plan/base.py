"""The base model of a project without its weights: built on torch's meta device, from its configuration."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, LlavaNextConfig, PreTrainedConfig, PreTrainedModel

from cityscribe.models.load import load_config, resolve_base
from cityscribe.models.whole_images import plain_config


def published() -> dict[str, dict[str, Any]]:
    """The sizes of the published models that presets name, by hub id: what their configurations say, so that they can
    be planned for without a network."""
    text = (resources.files("cityscribe.plan") / "published.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found


def base_config(base: str, *, tiles: bool = True) -> PreTrainedConfig:
    """The configuration of a base model: of a folder, of a published model whose sizes are known here, or from the hub.

    Raises InputError as `load_config` does.
    """
    place = resolve_base(base)
    known = published()
    if not Path(place).is_dir() and place in known:
        sizes = dict(known[place])
        config: PreTrainedConfig = AutoConfig.for_model(sizes.pop("model_type"), **sizes)
    else:
        config = load_config(place)
    return plain_config(config, place) if not tiles and isinstance(config, LlavaNextConfig) else config


def without_weights(config: PreTrainedConfig) -> PreTrainedModel:
    """The model of a configuration; its parameters have shapes and take no memory."""
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
    model.tie_weights()
    return model
