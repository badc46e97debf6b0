"""Build a small LLaVA from its parts: a CLIP vision tower, a two-layer connector, a Llama decoder.

    tokenizer = train_tokenizer(captions, vocab_size=1024)
    model, processor = build_tiny_llava(tokenizer, image_size=128, patch_size=16, seed=0)

The classes are those of the released LLaVA models, so that everything which works on the small one works on them.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaConfig, LlavaForConditionalGeneration, LlavaProcessor, PreTrainedTokenizerFast

from cityscribe.models.vlm.compose import VlmParts, compose
from cityscribe.models.vlm.llavas import llava_processor
from cityscribe.models.vlm.parts import make_tower

LARGEST = 30_000_000
"""Parameters that a model may have and still count as small: what is drawn at random is trained on one machine."""


def build_tiny_llava(
    tokenizer: PreTrainedTokenizerFast,
    *,
    image_size: int = 128,
    patch_size: int = 16,
    vision_layers: int = 4,
    vision_width: int = 192,
    vision_heads: int = 4,
    vision_mlp: int = 768,
    text_layers: int = 6,
    text_width: int = 256,
    text_heads: int = 4,
    text_kv_heads: int = 4,
    text_mlp: int = 768,
    max_tokens: int = 2048,
    seed: int = 0,
) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """A LLaVA with weights drawn by the seed, and its processor.

    `image_size` and `patch_size` are pixels; an image takes `(image_size / patch_size) ** 2` tokens. The connector
    reads the last layer of the tower: a tower that is trained from scratch has no reason to leave one out. Raises
    ValueError where sizes do not divide each other or the model has more than `LARGEST` parameters.
    """
    for name, size, divisor in (
        ("image_size by patch_size", image_size, patch_size),
        ("vision_width by vision_heads", vision_width, vision_heads),
        ("text_width by text_heads", text_width, text_heads),
        ("text_heads by text_kv_heads", text_heads, text_kv_heads),
    ):
        if size % divisor:
            raise ValueError(f"{name}: {size} is not a multiple of {divisor}")
    vision = {
        "image_size": image_size,
        "patch_size": patch_size,
        "num_hidden_layers": vision_layers,
        "hidden_size": vision_width,
        "intermediate_size": vision_mlp,
        "num_attention_heads": vision_heads,
        "projection_dim": vision_width,
    }
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=text_layers,
        hidden_size=text_width,
        intermediate_size=text_mlp,
        num_attention_heads=text_heads,
        num_key_value_heads=text_kv_heads,
        max_position_embeddings=max_tokens,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    parts = VlmParts(
        towers=({"kind": "clip", "config": vision, "layer": -1},),
        tiling={"kind": "whole"},
        connector={"kind": "mlp"},
        decoder=text,
    )
    model: Any
    processor: Any
    model, processor = compose(parts, tokenizer, seed=seed)
    if model.num_parameters() > LARGEST:
        raise ValueError(f"the model has {model.num_parameters():,} parameters, at most {LARGEST:,} are small")
    return model, processor


def build_processor(tokenizer: PreTrainedTokenizerFast, *, image_size: int, patch_size: int) -> LlavaProcessor:
    """The processor of a LLaVA of CLIP's kind whose images become squares of `image_size` pixels, whole."""
    with torch.device("meta"):
        tower = make_tower({"kind": "clip", "config": {"image_size": image_size, "patch_size": patch_size}})
    processor: Any = llava_processor(tokenizer, tower)
    found: LlavaProcessor = processor
    return found
