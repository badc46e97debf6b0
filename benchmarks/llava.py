"""A LLaVA of random weights in some sizes, for benchmarks: what it says is noise, which changes no time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from benchmarks.decoders import decoder_config
from cityscribe.models.build import build_processor

VOCABULARY = 32_064
"""Tokens of LLaVA-1.5-7B."""

SHAPES: dict[str, dict[str, dict[str, int]]] = {
    "cpu": {
        "vision": {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 4},
        "text": {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 9, "num_attention_heads": 6},
    },
    "cuda": {  # LLaVA-1.5-7B
        "vision": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16},
        "text": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32},
    },
    "cuda-shallow": {  # the same with few layers, for what is computed in float32
        "vision": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 4, "num_attention_heads": 16},
        "text": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 4, "num_attention_heads": 32},
    },
    "tiny": {  # to rehearse on a CPU
        "vision": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
        "text": {"hidden_size": 128, "intermediate_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4},
    },
}

PATCH = 14
"""Pixels of a patch, and of a token, each way."""


def random_llava(
    tokenizer: PreTrainedTokenizerFast,
    device: str,
    vocab_size: int,
    decoder: str = "llama",
    text: Mapping[str, int] | None = None,
    *,
    shape: str = "",
    image_size: int = 336,
    dtype: torch.dtype | None = None,
    **options: Any,
) -> tuple[LlavaForConditionalGeneration, Any]:
    """The model, equal in every process, and its processor: in float32 on a CPU and in bf16 on a GPU, or in `dtype`.

    `shape` is one of `SHAPES`, by default that of the device; `text` are other sizes of the decoder, and `options` are
    fields of its configuration.
    """
    sizes = SHAPES[shape or device]
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=image_size, patch_size=PATCH, projection_dim=256, **sizes["vision"]),
        text_config=decoder_config(
            decoder,
            text or sizes["text"],
            vocab_size=vocab_size,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **options,
        ),
        image_token_index=tokenizer.image_token_id,
        image_seq_length=(image_size // PATCH) ** 2,
        vision_feature_layer=-2,
    )
    torch.manual_seed(0)
    torch.set_default_dtype(dtype or (torch.bfloat16 if device == "cuda" else torch.float32))
    with torch.device(device):
        model = LlavaForConditionalGeneration(config)
    torch.set_default_dtype(torch.float32)
    return model, build_processor(tokenizer, image_size=image_size, patch_size=PATCH)
