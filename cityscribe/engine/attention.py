"""Attention of many conversations over the prefixes that they share, and the cache that it reads.

A prefix (the images and what stands before and behind them) is kept once, however many conversations branch from it;
each conversation (a row) keeps only what is its own. A query attends to both parts apart, and the two results are
joined by their softmax normalisers, which is exact (the split of FlashDecoding and of cascade attention). So neither
memory nor the reads of a step grow with the number of questions about an image.

The tokens of a step stand in one packed row without padding. Every row writes its tokens to its own slots, one after
the other, and a token sees the slots up to its own: what a later step overwrites (tokens of a draft that were not what
the model says) is never seen, so that rows may advance by different numbers of tokens.

Registered as an attention function of transformers, which a step reaches as the argument `shared` of `forward`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

NAME = "cityscribe_shared"

GROWTH = 64
"""Slots by which the own part of the rows grows when it is full."""

KeyValues = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, [key heads, length, width] each. A model that drops tokens on their way through its
decoder leaves another length in each layer."""


class SharedCache:
    """Keys and values of prefixes and of the rows that branch from them.

    For each layer `prefixes` are stacked, [prefixes, key heads, longest of that layer, width]; the own parts are [rows,
    key heads, slots, width]. `prefix_lengths` [prefixes][layers] says how many tokens of each prefix a layer has,
    `lengths` how many slots of each row are filled, `prefix_of` which prefix each row continues.
    """

    def __init__(self, prefixes: Sequence[KeyValues], prefix_of: Sequence[int]) -> None:
        self.prefix_lengths = [tuple(keys.shape[1] for keys, _ in layers) for layers in prefixes]
        self.prefix_of = list(prefix_of)
        self.lengths = [0] * len(prefix_of)
        self.prefixes = [
            (_stack([layers[n][0] for layers in prefixes]), _stack([layers[n][1] for layers in prefixes]))
            for n in range(len(prefixes[0]))
        ]
        self.own = [(keys.new_zeros(len(prefix_of), keys.shape[1], 0, keys.shape[3]),) * 2 for keys, _ in self.prefixes]

    def reserve(self, slots: int) -> None:
        """Make room for so many slots a row."""
        missing = slots - self.own[0][0].shape[2]
        if missing > 0:
            more = -(-missing // GROWTH) * GROWTH
            # Zeros, because what is masked still is multiplied by a weight of zero, and must be a number.
            self.own = [
                (nn.functional.pad(keys, (0, 0, 0, more)), nn.functional.pad(values, (0, 0, 0, more)))
                for keys, values in self.own
            ]

    def fill(self, row: int, past: KeyValues) -> None:
        """Begin the own part of a row with what was computed before."""
        length = past[0][0].shape[1]
        self.reserve(length)
        for (keys, values), (past_keys, past_values) in zip(self.own, past, strict=True):
            keys[row, :, :length], values[row, :, :length] = past_keys, past_values
        self.lengths[row] = length

    def prefix(self, number: int) -> KeyValues:
        """One prefix, as views."""
        return [
            (keys[number, :, :length], values[number, :, :length])
            for (keys, values), length in zip(self.prefixes, self.prefix_lengths[number], strict=True)
        ]

    def row(self, row: int) -> KeyValues:
        """The own part of a row, as copies."""
        length = self.lengths[row]
        return [(keys[row, :, :length].clone(), values[row, :, :length].clone()) for keys, values in self.own]

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all other rows, and the prefixes that none of these continues."""
        index = torch.tensor(rows, device=self.own[0][0].device)
        self.own = [(keys[index], values[index]) for keys, values in self.own]
        self.lengths = [self.lengths[row] for row in rows]
        used = sorted({self.prefix_of[row] for row in rows})
        self.prefix_of = [used.index(self.prefix_of[row]) for row in rows]
        if len(used) < len(self.prefix_lengths):
            self.prefix_lengths = [self.prefix_lengths[number] for number in used]
            index = torch.tensor(used, device=index.device)
            self.prefixes = [
                (keys[index, :, : max(lengths)], values[index, :, : max(lengths)])
                for (keys, values), lengths in zip(self.prefixes, zip(*self.prefix_lengths, strict=True), strict=True)
            ]


@dataclass(frozen=True, slots=True, eq=False)
class DecodingStep:
    """Where the tokens of one step stand. Tokens are packed row by row; `*_take` gathers them with padding by rows or
    by prefixes, `*_back` finds them again in the flattened result."""

    cache: SharedCache
    row: Tensor  # [tokens]
    slot: Tensor  # [tokens]
    slots: int  # how many slots of the own parts anybody sees
    own_take: Tensor  # [rows, most tokens of a row]
    own_back: Tensor  # [tokens]
    own_hidden: Tensor  # [rows, 1, 1, most tokens of a row, slots] bool
    prefix_take: Tensor  # [prefixes, most tokens of a prefix]
    prefix_back: Tensor  # [tokens]
    prefix_hidden: tuple[Tensor | None, ...]  # of each layer, [prefixes, 1, 1, 1, longest] bool; None where all
    # prefixes are of one length


def next_step(cache: SharedCache, counts: Sequence[int], device: torch.device) -> DecodingStep:
    """A step in which row r brings `counts[r]` >= 1 further tokens. Does not advance `cache.lengths`."""
    most = max(counts)
    row_of: list[int] = []
    slot: list[int] = []
    own_take = [[0] * most for _ in counts]
    own_back: list[int] = []
    queues: list[list[int]] = [[] for _ in cache.prefix_lengths]  # the tokens that look at each prefix
    places: list[tuple[int, int]] = []
    for row, count in enumerate(counts):
        for n in range(count):
            token = len(row_of)
            own_take[row][n] = token
            own_back.append(row * most + n)
            row_of.append(row)
            slot.append(cache.lengths[row] + n)
            queue = queues[cache.prefix_of[row]]
            places.append((cache.prefix_of[row], len(queue)))
            queue.append(token)
    slots = max(slot) + 1
    cache.reserve(slots)
    widest = max(map(len, queues))
    slot_of = torch.tensor(slot, device=device)
    take = torch.tensor(own_take, device=device)
    by_layer = list(zip(*cache.prefix_lengths, strict=True))
    # Most models have one length in all layers: one mask for all of them.
    hidden = {lengths: _behind(lengths, device) for lengths in set(by_layer)}
    return DecodingStep(
        cache=cache,
        row=torch.tensor(row_of, device=device),
        slot=slot_of,
        slots=slots,
        own_take=take,
        own_back=torch.tensor(own_back, device=device),
        own_hidden=(torch.arange(slots, device=device) > slot_of[take][..., None])[:, None, None],
        prefix_take=torch.tensor([queue + [0] * (widest - len(queue)) for queue in queues], device=device),
        prefix_back=torch.tensor([prefix * widest + place for prefix, place in places], device=device),
        prefix_hidden=tuple(hidden[lengths] for lengths in by_layer),
    )


def _behind(lengths: tuple[int, ...], device: torch.device) -> Tensor | None:
    """Which places of stacked prefixes lie behind the end of each, [prefixes, 1, 1, 1, longest] bool."""
    if len(set(lengths)) == 1:
        return None
    place = torch.arange(max(lengths), device=device)
    return (place >= torch.tensor(lengths, device=device)[:, None])[:, None, None, None]


def shared_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    shared: DecodingStep,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of packed tokens, `query` [1, heads, tokens, width] and `key`, `value` [1, key heads, tokens, width].

    Writes keys and values to the cache. Returns [1, tokens, heads, width]. Raises ValueError for what only other
    attention functions know.
    """
    if softcap is not None or s_aux is not None or sliding_window is not None:
        raise ValueError("soft-capped scores, attention sinks and windows are not known to the shared attention")
    layer = cast(int, module.layer_idx)
    heads, tokens, width = query.shape[1:]
    key_heads = key.shape[1]
    query = query * (width**-0.5 if scaling is None else scaling)
    queries = query[0].transpose(0, 1).reshape(tokens, key_heads, heads // key_heads, width)
    keys, values = shared.cache.own[layer]
    keys[shared.row, :, shared.slot] = key[0].transpose(0, 1)
    values[shared.row, :, shared.slot] = value[0].transpose(0, 1)
    keys, values = keys[:, :, : shared.slots], values[:, :, : shared.slots]
    output, maximum, weight_sum = _attend(queries, keys, values, shared.own_take, shared.own_back, shared.own_hidden)
    prefix_keys, prefix_values = shared.cache.prefixes[layer]
    if prefix_keys.shape[2]:
        prefix_output, prefix_maximum, prefix_sum = _attend(
            queries, prefix_keys, prefix_values, shared.prefix_take, shared.prefix_back, shared.prefix_hidden[layer]
        )
        joint = torch.maximum(maximum, prefix_maximum)
        scale, prefix_scale = (maximum - joint).exp(), (prefix_maximum - joint).exp()
        output = output * scale + prefix_output * prefix_scale
        weight_sum = weight_sum * scale + prefix_sum * prefix_scale
    return (output / weight_sum).to(query.dtype).reshape(1, tokens, heads, width), None


def _attend(
    queries: Tensor, keys: Tensor, values: Tensor, take: Tensor, back: Tensor, hidden: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Unnormalised attention of `queries` [tokens, key heads, shared by, width] to one part of the cache.

    Returns for each token the weighted sum of values [tokens, key heads, shared by, width], and the maximum of its
    scores and the sum of its weights [tokens, key heads, shared by, 1], float32.
    """
    _, key_heads, by, width = queries.shape
    batch, most = take.shape
    gathered = queries[take].permute(0, 2, 3, 1, 4).reshape(batch, key_heads, by * most, width)
    scores = (gathered @ keys.transpose(2, 3)).float().view(batch, key_heads, by, most, -1)
    if hidden is not None:
        # Not minus infinity: a prefix of no tokens has nothing to see, and its weights must stay numbers.
        scores = scores.masked_fill_(hidden, torch.finfo(torch.float32).min)
    maximum = scores.amax(dim=-1, keepdim=True)
    weights = scores.sub_(maximum).exp_()
    weight_sum = weights.sum(dim=-1, keepdim=True)
    output = (weights.view(batch, key_heads, by * most, -1).to(values.dtype) @ values).float()
    output = output.view(batch, key_heads, by, most, width)
    return _tokens(output, back), _tokens(maximum, back), _tokens(weight_sum, back)


def _tokens(part: Tensor, back: Tensor) -> Tensor:
    """From [batch, key heads, shared by, most, last] to [tokens, key heads, shared by, last]."""
    return part.permute(0, 3, 1, 2, 4).flatten(0, 1)[back]


def _stack(parts: Sequence[Tensor]) -> Tensor:
    """Parts [key heads, length, width] of different lengths, padded with zeros."""
    longest = max(part.shape[1] for part in parts)
    return torch.stack([nn.functional.pad(part, (0, 0, 0, longest - part.shape[1])) for part in parts])


AttentionInterface.register(NAME, shared_attention)
