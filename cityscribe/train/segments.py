"""Attention over trees on a CPU: each stretch between two forks is computed against its own path, and no other key.

A dense mask computes every pair of tokens in a row and throws most of them away: neither trees nor the branches of a
tree see each other. Here only what is seen is computed, as in a block-sparse kernel on a GPU. It is registered as an
attention function of transformers; the stretches reach it as the argument `tree_segments` of the model's `forward`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from cityscribe.models.last_layer import wanted_at

NAME: Literal["cityscribe_tree"] = "cityscribe_tree"

TreeSegment = tuple[int, tuple[int, ...]]
"""How many tokens a stretch has, and the numbers of the stretches above it from the root down."""

SMALL = 2**18
"""Up to so many pairs of query and key, bf16 attention is computed as two matrix products.

The fused kernel's backward pass takes two to five times as long in bf16 on CPUs; beyond this size the scores that it
does not store would take too much memory.
"""


def tree_segments(last: np.ndarray) -> list[TreeSegment]:
    """The stretches of a row, from its last descendants [length]."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(last)) + 1, [len(last)]])
    segments: list[TreeSegment] = []
    above: list[int] = []
    for number, (start, end) in enumerate(pairwise(starts)):
        while above and last[starts[above[-1]]] < start:
            above.pop()
        segments.append((int(end - start), tuple(above)))
        above.append(number)
    return segments


def tree_attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    tree_segments: Sequence[TreeSegment],
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of one row, `query` [1, heads, length, width] and `key`, `value` [1, key heads, length, width].

    Returns [1, length, heads, width]. Raises ValueError for what only other attention functions know.
    """
    if softcap is not None or s_aux is not None:
        raise ValueError("soft-capped scores and attention sinks are not known to the attention over trees")
    kind = query.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else query.dtype
    query = query * (query.shape[3] ** -0.5 if scaling is None else scaling)
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
    sizes = [size for size, _ in tree_segments]
    # Split once: the gradient of each slice by itself would be as long as the row.
    queries, keys, values = (part.to(dtype).split(sizes, dim=2) for part in (query, key, value))
    outputs = []
    wanted = wanted_at(module)
    unread = [0] * len(sizes) if wanted is None else [_before_first(part) for part in wanted[0].split(sizes)]
    with torch.autocast(kind, enabled=False):
        for number, (whole, above) in enumerate(tree_segments):
            if unread[number]:
                outputs.append(queries[number].new_zeros(*query.shape[:2], unread[number], query.shape[3]))
            size = whole - unread[number]
            if not size:
                continue
            asked = queries[number].narrow(2, unread[number], size) if unread[number] else queries[number]
            path = (*above, number)
            path_keys = torch.cat([keys[n] for n in path], dim=2) if above else keys[number]
            path_values = torch.cat([values[n] for n in path], dim=2) if above else values[number]
            length = path_keys.shape[2]
            if dtype == torch.bfloat16 and size * length <= SMALL:
                scores = asked @ path_keys.transpose(2, 3)
                shares = scores.masked_fill_(_hidden(size, length), -torch.inf).softmax(dim=3)
                outputs.append(nn.functional.dropout(shares, dropout) @ path_values)
            else:
                visible = ~_hidden(size, length) if size < length else None
                outputs.append(
                    scaled_dot_product_attention(
                        asked, path_keys, path_values, visible, dropout, is_causal=visible is None, scale=1.0
                    )
                )
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None


def _before_first(wanted: Tensor) -> int:
    """How many tokens of a stretch come before the first whose result anybody reads; all, where there is none."""
    return int(wanted.long().argmax()) if wanted.any() else len(wanted)


@lru_cache(maxsize=256)
def _hidden(queries: int, keys: int) -> Tensor:
    """Each of the last `queries` of `keys` tokens sees none after it, bool [queries, keys]."""
    return torch.ones(queries, keys, dtype=torch.bool).triu(keys - queries + 1)


AttentionInterface.register(NAME, tree_attention_forward)
