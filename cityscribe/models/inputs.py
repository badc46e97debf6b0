"""What a model takes for a conversation that it sees alone: inputs beside the tokens, positions, what vision reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

TOKEN_INPUTS = ("token_type_ids", "mm_token_type_ids", "moe_mm_token_type_ids")
"""What processors give for each token beside its id, and some models need when they run by themselves."""

TOKEN_MASKS = ("cross_attention_mask",)
"""What processors give for the images, with a place for each token on its second axis (Mllama)."""

TARGETS = ("labels",)
"""What processors give that is no input: what a training of their own would learn."""

WRITTEN = ("visual_indicator_token_ids",)
"""Fields of configurations that name tokens which the vision path writes, beside the placeholder (Ovis 2)."""

WHOLE_IMAGES = ("gemma3",)
"""Model types whose image tokens see each other in both directions."""


def position_rule(model: PreTrainedModel) -> Callable[[dict[str, Tensor], dict[str, Tensor]], np.ndarray]:
    """How a model numbers the tokens of a sequence that it sees alone: from token and image inputs to [axes, length].

    Token inputs are `input_ids` [1, length] and what stands beside it. Models with multi-dimensional rotary positions
    (Qwen-VL and its kin) are asked by their own `get_rope_index`; all others count from 0. What they remember on
    themselves from one call to the next is never used.
    """
    owner = next((module for module in model.modules() if hasattr(type(module), "get_rope_index")), None)
    if owner is None:
        return lambda tokens, images: np.arange(tokens["input_ids"].shape[1])[None]
    ask: Any = owner.get_rope_index
    accepted = inspect.signature(ask).parameters

    def positions(tokens: dict[str, Tensor], images: dict[str, Tensor]) -> np.ndarray:
        if not images:
            return np.tile(np.arange(tokens["input_ids"].shape[1]), (3, 1))
        position_ids, _ = ask(**{name: value for name, value in (tokens | images).items() if name in accepted})
        return position_ids[:, 0].numpy()

    return positions


def arranges_images(processor: ProcessorMixin) -> bool:
    """Whether a processor shows an image at several places of a conversation, each with features of its own (a model
    from parts whose connector reads text). Its inputs then have a row for each place."""
    return bool(getattr(processor, "arranges_images", False))


def joins_frames(processor: ProcessorMixin) -> bool:
    """Whether a processor takes a video as one image of all its frames, which its `strip_of` makes (a model from parts
    whose connector joins them)."""
    return bool(getattr(processor, "joins_views", False))


def only_kept(logits: Tensor, keep: Tensor | int) -> Tensor:
    """The logits [kept, vocabulary] that were asked for by `logits_to_keep`: a mask [rows, length], or so many of the
    last of one row. VideoLLaMA 3 passes it over and gives those of all tokens."""
    if isinstance(keep, int):
        return logits[0, -keep:]
    return logits[keep] if logits.shape[:-1] == keep.shape else logits.flatten(0, -2)


def written_tokens(model: PreTrainedModel) -> frozenset[int]:
    """The tokens, beside the placeholder, whose embeddings come from the vision path."""
    values = vars(model.config)  # `to_dict` copies all of it, and leaves circles of objects behind each time
    return frozenset(int(token) for name in WRITTEN for token in values.get(name) or ())


def vision_reads_text(model: PreTrainedModel) -> bool:
    """Whether the vision path of a model reads the tokens of the conversation by itself, as its configuration declares.

    Then no two conversations share features, whatever their images. A model whose processor gives the text that guides
    it as a tensor of its own (`qformer_input_ids`) need not declare it: that tensor is part of the content key.
    """
    return bool(getattr(model.config, "vision_reads_text", False))
