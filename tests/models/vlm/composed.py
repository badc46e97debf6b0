"""Tiny models from parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import LlamaConfig, PreTrainedConfig, PreTrainedModel, ProcessorMixin, Qwen3Config

from cityscribe.models.tokenizer import train_tokenizer
from cityscribe.models.vlm.compose import VlmParts, compose
from tests.tiny_models import TEXT, TEXTS, VISION

TOKENIZER = train_tokenizer(TEXTS, 320)
CLIP = {"kind": "clip", "config": {**VISION, "image_size": 32, "patch_size": 8, "projection_dim": 32}, "layer": -1}
SIGLIP = {"kind": "siglip", "config": {**VISION, "hidden_size": 48, "image_size": 16, "patch_size": 4}, "layer": -2}
POOLED = {"kind": "average-pooling", "pool": 2}


def decoder(kind: type[PreTrainedConfig] = LlamaConfig) -> PreTrainedConfig:
    fields = {
        **TEXT,
        "vocab_size": len(TOKENIZER),
        "bos_token_id": None,
        "eos_token_id": TOKENIZER.eos_token_id,
        "pad_token_id": TOKENIZER.pad_token_id,
        "tie_word_embeddings": False,
    }
    return kind(**fields, **({"head_dim": 8} if kind is Qwen3Config else {}))


def parts(
    *towers: Mapping[str, Any],
    tiling: Mapping[str, Any] | None = None,
    connector: Mapping[str, Any] | None = None,
    text: type[PreTrainedConfig] = LlamaConfig,
    **arrangement: str,
) -> VlmParts:
    return VlmParts(
        towers=towers or (CLIP,),
        tiling=tiling or {"kind": "whole"},
        connector=connector or POOLED,
        decoder=decoder(text),
        **arrangement,
    )


def tiny(chosen: VlmParts) -> tuple[PreTrainedModel, ProcessorMixin]:
    """The model with a tower and a connector whose answers depend on the image."""
    model, processor = compose(chosen, TOKENIZER, seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "language_model" not in name and "lm_head" not in name:
                parameter.mul_(5)
    return model, processor


COMPOSED: dict[str, VlmParts] = {
    "clip, pooled, llama": parts(),
    "siglip, letterbox, pooled, qwen3": parts(SIGLIP, tiling={"kind": "letterbox"}, text=Qwen3Config),
    "clip and siglip side by side": parts(CLIP, SIGLIP, connector={"kind": "mlp"}),
}
