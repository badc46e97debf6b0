"""What a model asks of a tree: how it numbers positions, who sees whom in its layers, and how it is told so.

A tree is exact only if every token gets the position and sees the tokens that the model would have given it in its own
sequence alone. What is known about a family stands here; whether it is enough is checked at the start of every run
(`cityscribe.train.check`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from cityscribe.models.parts import decoder
from cityscribe.records import InputError
from cityscribe.train import segments
from cityscribe.train.encode import Conversation
from cityscribe.tree import Rows, block_mask, dense_mask

WHOLE_IMAGES = ("gemma3",)
"""Model types whose image tokens see each other in both directions."""

FLEX_BLOCK = 128
"""Rows for FlexAttention have a multiple of this length: its sparsity is counted in blocks of so many tokens."""

Backend = Literal["cityscribe_tree", "flex_attention", "sdpa"]


@dataclass(frozen=True, slots=True)
class TreeAttention:
    """How a model's decoder is told who sees whom in a tree."""

    backend: Backend
    windows: dict[str, int]  # layer type -> how many tokens back its layers see, 0 for all
    whole_images: bool

    @property
    def sparse(self) -> bool:
        """Whether tokens that do not see each other cost nothing, so that many trees may stand in one row."""
        return self.backend != "sdpa"

    @property
    def multiple(self) -> int:
        """Rows have a length that is a multiple of this."""
        return FLEX_BLOCK if self.backend == "flex_attention" else 1

    def inputs(self, rows: Rows) -> dict[str, Any]:
        """What the model takes for some rows beside their tokens and images: positions and who sees whom."""
        if self.backend == segments.NAME:
            if len(rows.last) > 1:
                raise ValueError("the attention over trees computes one row at a time")
            return {
                "position_ids": rows.position_ids,
                "tree_segments": segments.tree_segments(rows.last[0].numpy()),
            }
        make = block_mask if self.backend == "flex_attention" else dense_mask
        count, length = rows.input_ids.shape
        masks = {
            kind: make(rows.visibility(window=window, whole_images=self.whole_images), count, length, rows.last.device)
            for kind, window in self.windows.items()
        }
        return {
            "position_ids": rows.position_ids,
            "attention_mask": next(iter(masks.values())) if len(masks) == 1 else masks,
        }


def tree_attention(model: PreTrainedModel, device: torch.device, longest: int) -> TreeAttention:
    """How to tell a model who sees whom in trees of sequences of at most `longest` tokens.

    Raises InputError with the reason where its layers do not go by that alone.
    """
    text = model.config.get_text_config().to_dict()
    window = text.get("sliding_window") or 0
    kinds = set(text.get("layer_types") or ["sliding_attention" if window else "full_attention"])
    strange = kinds - {"full_attention", "sliding_attention"}
    if strange:
        raise InputError(
            f"{type(model).__name__}: its decoder has layers of {', '.join(sorted(strange))}, in which a token depends "
            "on its neighbour in the row and not on its parent in the tree; set train.share_prefix to false"
        )
    whole_images = model.config.model_type in WHOLE_IMAGES
    # A window that no sequence reaches beyond is none.
    windows = {kind: window if kind == "sliding_attention" and longest > window else 0 for kind in sorted(kinds)}
    backend: Backend = "sdpa"
    if device.type == "cuda" and decoder(model)._supports_flex_attn:
        backend = "flex_attention"
    elif device.type == "cpu" and not whole_images and not any(windows.values()):
        backend = segments.NAME
    return TreeAttention(backend, windows, whole_images)


@contextmanager
def attention_backend(model: PreTrainedModel, backend: str) -> Iterator[None]:
    """Within it the decoder computes attention by `backend`; the vision tower stays as it is.

    Raises InputError where the decoder cannot.
    """
    text = model.config.get_text_config()
    before = text._attn_implementation
    part = next((name for name in model.config.sub_configs if vars(model.config).get(name) is text), "")
    try:
        model.set_attn_implementation({part: backend})
    except (ValueError, ImportError) as error:
        reason = str(error).partition(". ")[0]
        raise InputError(
            f"{type(model).__name__}: its attention cannot take the mask of a tree: {reason}; "
            "set train.share_prefix to false"
        ) from error
    try:
        if cast(PreTrainedModel, decoder(model)).config._attn_implementation != backend:
            raise InputError(
                f"{type(model).__name__}: its attention is fixed to `{before}`, which cannot take the mask of a tree; "
                "set train.share_prefix to false"
            )
        yield
    finally:
        model.set_attn_implementation({part: before})


def position_rule(model: PreTrainedModel) -> Callable[[Conversation, dict[str, Tensor]], np.ndarray]:
    """How a model numbers the tokens of a conversation that it sees alone: a function to [axes, length].

    Models with multi-dimensional rotary positions (Qwen-VL and its kin) are asked by their own `get_rope_index`; all
    others count from 0.
    """
    owner = next((module for module in model.modules() if hasattr(type(module), "get_rope_index")), None)
    if owner is None:
        return lambda conversation, images: np.arange(len(conversation.input_ids))[None]
    ask: Any = owner.get_rope_index
    accepted = inspect.signature(ask).parameters

    def positions(conversation: Conversation, images: dict[str, Tensor]) -> np.ndarray:
        if not images:
            return np.tile(np.arange(len(conversation.input_ids)), (3, 1))
        tokens = {"input_ids": conversation.input_ids, **conversation.token_inputs}
        given = {name: torch.from_numpy(values)[None] for name, values in tokens.items()} | images
        position_ids, _ = ask(**{name: value for name, value in given.items() if name in accepted})
        return position_ids[:, 0].numpy()

    return positions
