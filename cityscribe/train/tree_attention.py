"""What a model asks of a tree: who sees whom in its layers, and how it is told so.

A tree is exact only if every token gets the position and sees the tokens that the model would have given it in its own
sequence alone. What is known about a family stands here; whether it is enough is checked at the start of every run
(`cityscribe.train.exact`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import PreTrainedModel

from cityscribe.files import InputError
from cityscribe.models.attention import Reach, decoder_attention, layer_types, reaches
from cityscribe.models.inputs import WHOLE_IMAGES
from cityscribe.models.parts import decoder
from cityscribe.models.recurrent import recurrent_layers
from cityscribe.train import segments
from cityscribe.train.forks import TreeFork, stretches_of, without_padding
from cityscribe.tree import Rows, block_mask, dense_mask

FLEX_BLOCK = 128
"""Rows for FlexAttention have a multiple of this length: its sparsity is counted in blocks of so many tokens."""

FLEX_WIDTH = 16
"""The kernels of FlexAttention compute no heads that are narrower."""

AttentionBackend = Literal["cityscribe_tree", "flex_attention", "sdpa"]


@dataclass(frozen=True, slots=True)
class TreeAttention:
    """How a model's decoder is told who sees whom in a tree."""

    backend: AttentionBackend
    reaches: dict[str, Reach]  # layer type -> how far back its layers see
    whole_images: bool
    others: tuple[str, ...] = ()  # types of layers without attention
    forks: bool = False  # whether some of them carry a state
    prunes: bool = False  # whether the last layer computes the tokens alone whose logits are wanted

    @property
    def sparse(self) -> bool:
        """Whether tokens that do not see each other cost nothing, so that many trees may stand in one row."""
        return self.backend != "sdpa"

    @property
    def multiple(self) -> int:
        """Rows have a length that is a multiple of this."""
        return FLEX_BLOCK if self.backend == "flex_attention" else 1

    def inputs(self, rows: Rows) -> dict[str, object]:
        """What the model takes for some rows beside their tokens and images: positions and who sees whom."""
        given: dict[str, object] = {"position_ids": rows.position_ids}
        cut = []
        if self.forks or self.backend == segments.NAME:
            cut = [segments.tree_segments(last) for last in rows.last.cpu().numpy()]
        if self.forks:
            given["forked"] = TreeFork(tuple(stretches_of(without_padding(row)) for row in cut))
        if self.backend == segments.NAME:
            if len(cut) > 1:
                raise ValueError("the attention over trees computes one row at a time")
            return {**given, "tree_segments": cut[0]}
        make = block_mask if self.backend == "flex_attention" else dense_mask
        count, length = rows.input_ids.shape
        masks = {
            kind: make(
                rows.visibility(window=reach.window, chunk=reach.chunk, whole_images=self.whole_images),
                count,
                length,
                rows.last.device,
            )
            for kind, reach in self.reaches.items()
        }
        by_type = masks | dict.fromkeys(self.others)
        return {**given, "attention_mask": next(iter(masks.values())) if len(by_type) == 1 else by_type}


def tree_attention(
    model: PreTrainedModel, device: torch.device, longest: int, *, prunes: bool = False
) -> TreeAttention:
    """How to tell a model who sees whom in trees of sequences of at most `longest` tokens. `prunes` leaves out of the
    last layer what no logits need, which rounds otherwise.

    Raises InputError with the reason where its layers do not go by that alone.
    """
    text = vars(model.config.get_text_config())  # `to_dict` would leave circles of objects behind
    try:
        known = reaches(model)
    except ValueError as reason:
        raise InputError(
            f"{type(model).__name__}: {reason}, in which a token may depend on its neighbour in the row and not on its "
            "parent in the tree; set train.share_prefix to false"
        ) from reason
    whole_images = model.config.model_type in WHOLE_IMAGES
    # A window that no sequence reaches beyond is none.
    seen = {kind: Reach() if reach.covers(longest) else reach for kind, reach in sorted(known.items())}
    width = text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"]
    backend: AttentionBackend = "sdpa"
    if device.type == "cuda" and decoder(model)._supports_flex_attn and width >= FLEX_WIDTH:
        backend = "flex_attention"
    elif device.type == "cpu" and not whole_images and all(reach == Reach() for reach in seen.values()):
        backend = segments.NAME
    others = tuple(sorted(set(layer_types(model)) - set(seen)))
    return TreeAttention(backend, seen, whole_images, others, forks=bool(recurrent_layers(model)), prunes=prunes)


def tree_backend(model: PreTrainedModel, attention: TreeAttention | None) -> AbstractContextManager[None]:
    """`attention_backend` as trees are computed; the model as it is where each sample is a row of its own."""
    return nullcontext() if attention is None else attention_backend(model, attention.backend)


@contextmanager
def attention_backend(model: PreTrainedModel, backend: str) -> Iterator[None]:
    """Within it the decoder computes attention by `backend`. Raises InputError where the decoder cannot."""
    with ExitStack() as stack:
        try:
            stack.enter_context(decoder_attention(model, backend))
        except ValueError as reason:
            raise InputError(
                f"{type(model).__name__}: its attention cannot take the mask of a tree: {reason}; "
                "set train.share_prefix to false"
            ) from reason
        yield
