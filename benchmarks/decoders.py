"""Decoders of several kinds in one shape, for benchmarks: what a kind of layer costs, everything else being equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import (
    Cohere2Config,
    Exaone4Config,
    Gemma3TextConfig,
    Lfm2Config,
    LlamaConfig,
    PreTrainedConfig,
    Qwen3_5TextConfig,
)

WINDOW = 512
"""Tokens that layers with a window see, as in Gemma 3 of 1B."""

DECODERS = ("llama", "hybrid", "convolutions", "gemma3", "cohere2", "exaone4")
"""`hybrid` is Qwen3.5's (three layers of gated delta rules to one of attention), `convolutions` LFM2's."""


def decoder_config(kind: str, shape: Mapping[str, Any], **options: Any) -> PreTrainedConfig:
    """A decoder of `DECODERS`; `shape` gives the sizes of the Llama that it is compared with."""
    layers, heads = shape["num_hidden_layers"], shape["num_attention_heads"]
    given = {**shape, "max_position_embeddings": 4096, "tie_word_embeddings": False, **options}
    head = {"head_dim": shape["hidden_size"] // heads}
    windows = {"sliding_window": WINDOW, "layer_types": _every(layers, 4, "sliding_attention")}
    if kind == "llama":
        return LlamaConfig(**given)
    if kind == "hybrid":
        return Qwen3_5TextConfig(
            **given,
            **head,
            num_key_value_heads=heads,
            linear_num_key_heads=heads // 2,
            linear_num_value_heads=heads,
            linear_key_head_dim=head["head_dim"],
            linear_value_head_dim=head["head_dim"],
            layer_types=_every(layers, 4, "linear_attention"),
        )
    if kind == "convolutions":
        return Lfm2Config(
            **given,
            num_key_value_heads=heads,
            block_auto_adjust_ff_dim=False,
            layer_types=_every(layers, 3, "conv"),
        )
    if kind == "gemma3":
        return Gemma3TextConfig(
            **given, **head, num_key_value_heads=heads, query_pre_attn_scalar=head["head_dim"], **windows
        )
    if kind == "cohere2":
        return Cohere2Config(**given, num_key_value_heads=heads, **windows)
    if kind == "exaone4":
        return Exaone4Config(**given, **head, num_key_value_heads=heads, **windows)
    raise ValueError(f"decoder {kind}: expected one of {', '.join(DECODERS)}")


def _every(layers: int, step: int, others: str) -> list[str]:
    """Full attention in each `step`-th layer, and another kind in those between."""
    return ["full_attention" if layer % step == step - 1 else others for layer in range(layers)]
