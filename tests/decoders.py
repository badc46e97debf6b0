"""Tiny LLaVAs with decoders of other kinds: recurrent layers, windows, chunks. Loaded by plain transformers as any."""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    Cohere2Config,
    Exaone4Config,
    Lfm2Config,
    Llama4TextConfig,
    LlavaForConditionalGeneration,
    NemotronHConfig,
    PreTrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
    Qwen3_5TextConfig,
)

from cityscribe.models.build import build_tiny_llava
from cityscribe.models.tokenizer import train_tokenizer
from tests.tiny_models import TEXT, TEXTS, VOCABULARY

ROTARY = {"rope_type": "default", "rope_theta": 10000.0}

GATED_DELTA = {
    "head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "rope_parameters": {**ROTARY, "partial_rotary_factor": 0.5, "mrope_section": [2, 1, 1]},
}

RECURRENT: dict[str, PreTrainedConfig] = {
    "gated delta rule": Qwen3_5TextConfig(
        **TEXT,
        **GATED_DELTA,
        layer_types=["linear_attention", "linear_attention", "full_attention", "linear_attention"],
    ),
    "convolution": Lfm2Config(
        **TEXT,
        layer_types=["conv", "full_attention", "conv", "conv"],
        block_auto_adjust_ff_dim=False,
        rope_parameters=ROTARY,
    ),
    "state space": NemotronHConfig(
        **{name: value for name, value in TEXT.items() if name != "num_hidden_layers"},
        layers_block_type=["linear_attention", "mlp", "full_attention", "linear_attention"],
        head_dim=8,
        mamba_num_heads=4,
        mamba_head_dim=8,
        ssm_state_size=8,
        n_groups=2,
        chunk_size=16,
        conv_kernel=4,
    ),
}
"""Decoders with layers that carry a state."""

WINDOWS: dict[str, PreTrainedConfig] = {
    "windows": Cohere2Config(
        **TEXT,
        sliding_window=12,
        layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters=ROTARY,
    ),
    "windows between": Exaone4Config(
        **TEXT,
        head_dim=8,
        sliding_window=9,
        layer_types=["full_attention", "sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters=ROTARY,
    ),
    "chunks": Llama4TextConfig(
        **TEXT,
        head_dim=8,
        intermediate_size_mlp=64,
        attention_chunk_size=10,
        num_local_experts=2,
        interleave_moe_layer_step=2,
        layer_types=["chunked_attention", "chunked_attention", "chunked_attention", "full_attention"],
        no_rope_layers=[1, 1, 1, 0],
        rope_parameters=ROTARY,
    ),
}
"""Decoders of which some layers do not see all."""


def llava_of(text: PreTrainedConfig) -> tuple[PreTrainedModel, ProcessorMixin]:
    """A tiny LLaVA with this decoder, its weights drawn at random."""
    tokenizer = train_tokenizer(TEXTS, VOCABULARY)
    model, processor = build_tiny_llava(
        tokenizer,
        image_size=32,
        patch_size=8,
        vision_layers=2,
        vision_width=32,
        vision_heads=2,
        vision_mlp=64,
        text_layers=1,
        text_width=32,
        text_heads=4,
        text_mlp=64,
    )
    config: Any = model.config
    fields = text.to_dict() | {
        "vocab_size": len(tokenizer),
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": False,
    }
    config.text_config = type(text)(**fields)
    config.tie_word_embeddings = False
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = LlavaForConditionalGeneration(config)
    made.generation_config = model.generation_config
    return made.eval(), processor
