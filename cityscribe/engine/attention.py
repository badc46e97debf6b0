"""Attention of many conversations over the prefixes that they share.

A prefix is kept once in the cache, however many conversations branch from it (`engine.cache`). A query attends to the
prefix and to what is its row's own apart, and the two results are joined by their softmax normalisers, which is exact
(the split of FlashDecoding and of cascade attention). So neither memory nor the reads of a step grow with the number of
questions about an image.

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

from cityscribe.engine.cache import SharedCache
from cityscribe.models.attention import Reach
from cityscribe.models.recurrent import FromState, LayerState

NAME = "cityscribe_shared"


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
    own_hidden: tuple[Tensor, ...]  # of each layer, [rows, 1, 1, most tokens of a row, slots] bool
    prefix_take: Tensor  # [prefixes, most tokens of a prefix]
    prefix_back: Tensor  # [tokens]
    prefix_seen: tuple[tuple[int, Tensor | None], ...]  # of each layer the first place that anybody sees, and what is
    # hidden from there on, [prefixes, 1, 1, 1 or most tokens of a prefix, places] bool; None: nothing
    by_count: tuple[tuple[list[int], Tensor], ...]  # rows that bring equally many tokens, and these, [rows, count]

    def through(self, layer: int, hidden: Tensor, run: FromState) -> Tensor:
        """A recurrent layer's output for packed tokens [1, tokens, width], each row's from its own state.

        Rows are computed together where they bring equally many tokens: padding would change their states. The states
        behind the step go to `next_states` of the cache.
        """
        packed, before = hidden[0], self.cache.states[layer]
        output = torch.empty_like(packed)
        after: LayerState = {}
        for rows, take in self.by_count:
            whole = len(rows) == len(self.cache.lengths)
            found, state = run(packed[take], before if whole else {name: value[rows] for name, value in before.items()})
            output[take] = found
            for name, value in state.items():
                if whole:
                    after[name] = value
                else:
                    after.setdefault(name, torch.empty_like(before[name]))[rows] = value
        self.cache.next_states[layer] = after
        return output[None]


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
    prefix_take = torch.tensor([queue + [0] * (widest - len(queue)) for queue in queues], device=device)
    before = torch.tensor([cache.tokens[number] for number in cache.prefix_of], device=device)  # [rows]
    rows_of_tokens = torch.tensor(row_of, device=device)
    place = before[rows_of_tokens] + slot_of  # of each token in its own sequence
    by_layer = list(zip(cache.reaches, zip(*cache.prefix_lengths, strict=True), strict=True))
    # Most models have one length and one reach in all layers: one mask for all of them.
    own = {reach: _own_hidden(reach, slot_of[take], before, slots) for reach in set(cache.reaches)}
    seen = {kind: _prefix_seen(*kind, place, prefix_take) for kind in set(by_layer)}
    same = {count: [n for n, other in enumerate(counts) if other == count] for count in sorted(set(counts))}
    return DecodingStep(
        cache=cache,
        row=rows_of_tokens,
        slot=slot_of,
        slots=slots,
        own_take=take,
        own_back=torch.tensor(own_back, device=device),
        own_hidden=tuple(own[reach] for reach in cache.reaches),
        prefix_take=prefix_take,
        prefix_back=torch.tensor([prefix * widest + place for prefix, place in places], device=device),
        prefix_seen=tuple(seen[kind] for kind in by_layer),
        by_count=tuple((rows, take[rows, :count]) for count, rows in same.items()) if cache.states else (),
    )


def _own_hidden(reach: Reach, slot: Tensor, before: Tensor, slots: int) -> Tensor:
    """Which slots of its row a token at `slot` [rows, most tokens] does not see, [rows, 1, 1, most tokens, slots] bool;
    `before` [rows] are the tokens of the prefixes."""
    query, key = slot[..., None], torch.arange(slots, device=slot.device)
    hidden = key > query
    if reach.window:
        hidden = hidden | (query - key >= reach.window)
    if reach.chunk:
        start = before[:, None, None]
        hidden = hidden | ((start + query) // reach.chunk != (start + key) // reach.chunk)
    return hidden[:, None, None]


def _prefix_seen(reach: Reach, lengths: tuple[int, ...], place: Tensor, take: Tensor) -> tuple[int, Tensor | None]:
    """From which place on anybody sees a layer of stacked prefixes of these lengths, and what is hidden from there.

    `place` [tokens] is where a token stands in its own sequence, `take` [prefixes, most tokens] who looks at a prefix.
    """
    if reach == Reach() and len(set(lengths)) == 1:
        return 0, None
    key = torch.arange(max(lengths), device=place.device)
    behind = key >= torch.tensor(lengths, device=place.device)[:, None]  # [prefixes, longest]
    if reach == Reach():
        return 0, behind[:, None, None, None]
    start, nearest = 0, int(place.min())
    query = place[take][..., None]  # [prefixes, most tokens, 1]
    hidden = behind[:, None].expand(-1, take.shape[1], -1)
    if reach.window:
        start = max(start, nearest - reach.window + 1)
        hidden = hidden | (query - key >= reach.window)
    if reach.chunk:
        start = max(start, nearest // reach.chunk * reach.chunk)
        hidden = hidden | (query // reach.chunk != key // reach.chunk)
    return start, hidden[:, None, None, :, start:]


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

    Values may be of a width of their own. Writes keys and values to the cache. Returns [1, tokens, heads, width of the
    values]. Raises ValueError for what only other attention functions know.
    """
    if softcap is not None or s_aux is not None:
        raise ValueError("soft-capped scores and attention sinks are not known to the shared attention")
    layer = cast(int, module.layer_idx)
    if sliding_window is not None and shared.cache.reaches[layer].window != sliding_window:
        raise ValueError(f"layer {layer} has a window of {sliding_window}, which its configuration does not say")
    heads, tokens, width = query.shape[1:]
    key_heads = key.shape[1]
    query = query * (width**-0.5 if scaling is None else scaling)
    queries = query[0].transpose(0, 1).reshape(tokens, key_heads, heads // key_heads, width)
    keys, values = shared.cache.own[layer]
    keys[shared.row, :, shared.slot] = key[0].transpose(0, 1)
    values[shared.row, :, shared.slot] = value[0].transpose(0, 1)
    keys, values = keys[:, :, : shared.slots], values[:, :, : shared.slots]
    output, maximum, weight_sum = _attend(
        queries, keys, values, shared.own_take, shared.own_back, shared.own_hidden[layer]
    )
    start, hidden = shared.prefix_seen[layer]
    prefix_keys, prefix_values = (part[:, :, start:] for part in shared.cache.prefixes[layer])
    if prefix_keys.shape[2]:
        prefix_output, prefix_maximum, prefix_sum = _attend(
            queries, prefix_keys, prefix_values, shared.prefix_take, shared.prefix_back, hidden
        )
        joint = torch.maximum(maximum, prefix_maximum)
        scale, prefix_scale = (maximum - joint).exp(), (prefix_maximum - joint).exp()
        output = output * scale + prefix_output * prefix_scale
        weight_sum = weight_sum * scale + prefix_sum * prefix_scale
    return (output / weight_sum).to(query.dtype).reshape(1, tokens, heads, -1), None


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
    output = output.view(batch, key_heads, by, most, -1)
    return _tokens(output, back), _tokens(maximum, back), _tokens(weight_sum, back)


def _tokens(part: Tensor, back: Tensor) -> Tensor:
    """From [batch, key heads, shared by, most, last] to [tokens, key heads, shared by, last]."""
    return part.permute(0, 3, 1, 2, 4).flatten(0, 1)[back]


AttentionInterface.register(NAME, shared_attention)
