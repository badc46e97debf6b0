"""The shared beginnings of prompts: computed once, taken from memory where the last batch computed them.

Prompts about the same images (a scene) share what they have in common up to where they part. It is computed by the
model's own `forward`; positions are always given explicitly, by the model's own rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from cityscribe.engine.attention import KeyValues, SharedCache, next_step
from cityscribe.tokens.encode import Encoded
from cityscribe.tokens.media import join_media


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """The first tokens of a sequence, computed.

    A model that drops tokens on their way through its decoder has fewer keys than tokens in some layers. What it drops
    are tokens of images; each token behind the last image has its place in every layer, counted from the end.
    """

    tokens: int
    layers: KeyValues

    def between(self, start: int, end: int) -> KeyValues:
        """The keys and values of the tokens from `start` (0, or behind the last image) to `end` (behind it)."""
        cuts: KeyValues = []
        for keys, values in self.layers:
            dropped = self.tokens - keys.shape[1]
            first, last = max(start - dropped, 0), end - dropped
            cuts.append((keys[:, first:last], values[:, first:last]))
        return cuts


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """A sequence whose keys and values are known."""

    input_ids: np.ndarray  # [tokens]
    prefix: Prefix
    own: KeyValues  # of the tokens behind the prefix, all of them in each layer

    def between(self, start: int, end: int) -> KeyValues:
        """The keys and values of the tokens from `start` to `end`, both behind the last image."""
        split = self.prefix.tokens
        own = Prefix(len(self.input_ids) - split, self.own).between(max(start - split, 0), max(end - split, 0))
        before = self.prefix.between(min(start, split), min(end, split))
        return [
            (torch.cat([keys, own_keys], dim=1), torch.cat([values, own_values], dim=1))
            for (keys, values), (own_keys, own_values) in zip(before, own, strict=True)
        ]


@dataclass(slots=True, eq=False)
class Memory:
    """What the last batch computed, by scene: the next turn of a conversation, or another question about the same
    images, continues it."""

    scenes: dict[bytes, list[Past]] = field(default_factory=dict)
    unguided: dict[bytes, Prefix] = field(default_factory=dict)  # of prompts whose first media read no question


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """Prompts whose shared beginnings are computed."""

    cache: SharedCache  # a row for each prompt
    prefix_tokens: list[int]  # of each prefix
    fed: list[int]  # how many tokens of each prompt are in the cache


def begin(model: PreTrainedModel, prompts: Sequence[Encoded], memory: Memory) -> Begun:
    """Compute what the prompts of each scene share, or take it from memory; at least the last token is left over."""
    scenes: dict[bytes, list[int]] = {}
    for row, prompt in enumerate(prompts):
        scenes.setdefault(prompt.scene, []).append(row)
    shown = {_unguided_key(prompt) for prompt in prompts}
    memory.unguided = {key: prefix for key, prefix in memory.unguided.items() if key in shown}
    prefixes: list[Prefix] = []
    prefix_of = [0] * len(prompts)
    for number, (scene, rows) in enumerate(scenes.items()):
        prefixes.append(_prefix(model, [prompts[row] for row in rows], memory.scenes.get(scene, []), memory))
        for row in rows:
            prefix_of[row] = number
    cache = SharedCache([prefix.layers for prefix in prefixes], prefix_of)
    fed = [prefixes[number].tokens for number in prefix_of]
    for row, prompt in enumerate(prompts):
        known = memory.scenes.get(prompt.scene, [])
        best = max(known, key=lambda past: common_length(past.input_ids, prompt.input_ids), default=None)
        if best is not None:
            until = min(common_length(best.input_ids, prompt.input_ids), len(prompt.input_ids) - 1)
            if until > fed[row]:
                cache.fill(row, best.between(fed[row], until))
                fed[row] = until
    return Begun(cache, [prefix.tokens for prefix in prefixes], fed)


def prefill(model: PreTrainedModel, prompt: Encoded, length: int, memory: Memory | None = None) -> Prefix:
    """The first `length` tokens of a prompt with all its images, by the model's own `forward`.

    Media at its beginning that do not depend on what is asked are computed once for all prompts that begin with them
    (`memory`).
    """
    end = prompt.unguided_end
    if memory is None or not 0 < end < length:
        return _computed(model, prompt, 0, length, Prefix(0, []), len(prompt.media))
    key = _unguided_key(prompt)
    if key not in memory.unguided:
        memory.unguided[key] = _computed(model, prompt, 0, end, Prefix(0, []), prompt.unguided)
    return _computed(model, prompt, prompt.unguided, length, memory.unguided[key], len(prompt.media))


def _computed(model: PreTrainedModel, prompt: Encoded, first: int, length: int, before: Prefix, last: int) -> Prefix:
    """The tokens of a prompt up to `length`, of which those of `before` are known, with its media `first` to `last`."""
    cache = DynamicCache()
    for number, (keys, values) in enumerate(before.layers):
        cache.update(keys[None], values[None], number)
    positions = torch.from_numpy(prompt.position_ids[:, before.tokens : length]).to(model.device)
    model(
        input_ids=torch.from_numpy(prompt.input_ids[None, before.tokens : length]).to(model.device),
        position_ids=positions[:, None] if len(positions) > 1 else positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
        **on_device(model, join_media([item.inputs for item in prompt.media[first:last]])),
    )
    layers: list[Any] = cache.layers
    return Prefix(length, [(layer.keys[0], layer.values[0]) for layer in layers])


def _unguided_key(prompt: Encoded) -> bytes:
    """Equal exactly where the media that no question changes are, and what stands before and between them."""
    end = prompt.unguided_end
    return b"".join(item.key for item in prompt.media[: prompt.unguided]) + prompt.input_ids[:end].tobytes()


def feed(
    model: PreTrainedModel,
    cache: SharedCache,
    tokens: Sequence[Sequence[int]],
    position_ids: Sequence[np.ndarray],
    wanted: Sequence[int],
) -> Tensor:
    """Give every row its further tokens, with their positions [axes, tokens of the row].

    Needs `decoder_attention(model, NAME)` around it. Returns the logits of the last `wanted[r]` tokens of each row, one
    below the other, [sum of wanted, vocabulary]. Does not advance `cache.lengths`: the caller knows which of the tokens
    stay.
    """
    device = model.device
    step = next_step(cache, [len(each) for each in tokens], device)
    keep = [n >= len(each) - want for each, want in zip(tokens, wanted, strict=True) for n in range(len(each))]
    positions = torch.from_numpy(np.concatenate(position_ids, axis=1)).to(device)
    logits = model(
        input_ids=torch.tensor([[token for each in tokens for token in each]], device=device),
        position_ids=positions[:, None] if len(positions) > 1 else positions,
        logits_to_keep=torch.tensor([keep], device=device),
        use_cache=False,
        shared=step,
    ).logits
    return logits.flatten(0, -2)


def positions_from(prompt: Encoded, start: int, count: int) -> np.ndarray:
    """The positions [axes, count] of the tokens from `start` on of a sequence that begins with a prompt."""
    length = len(prompt.input_ids)
    own = prompt.position_ids[:, start : start + count]
    later = np.arange(max(start, length), start + count) - length + prompt.next_position
    return np.concatenate([own, np.broadcast_to(later, (len(own), len(later)))], axis=1)


def media_inputs_of(model: PreTrainedModel, prompt: Encoded) -> dict[str, Tensor]:
    """What the model takes for the media of a prompt, where the model is and in its type."""
    return on_device(model, prompt.media_inputs)


def on_device(model: PreTrainedModel, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Media inputs where the model is and in its type."""
    return {
        name: value.to(model.device, model.dtype if value.is_floating_point() else value.dtype)
        for name, value in inputs.items()
    }


def token_inputs_of(model: PreTrainedModel, prompt: Encoded) -> dict[str, Tensor]:
    """What `generate` takes for each token of a prompt beside its id, [1, length] each, where the model is."""
    return {name: value.to(model.device) for name, value in prompt.tensors().items() if name != "input_ids"}


def common_length(first: np.ndarray, second: np.ndarray) -> int:
    """How many tokens two sequences have in common from the front."""
    shorter = min(len(first), len(second))
    differs = first[:shorter] != second[:shorter]
    return int(differs.argmax()) if differs.any() else shorter


def _prefix(model: PreTrainedModel, prompts: Sequence[Encoded], known: Sequence[Past], memory: Memory) -> Prefix:
    """The shared beginning of the prompts of one scene: all of what they have in common, or as much as is known of it
    where that covers the images."""
    first = prompts[0]
    common = min(
        min(common_length(first.input_ids, prompt.input_ids) for prompt in prompts),
        min(len(prompt.input_ids) for prompt in prompts) - 1,
    )
    if known:
        past = known[0]
        length = min(common_length(past.input_ids, first.input_ids), common, past.prefix.tokens)
        if length >= first.media_end:
            return Prefix(length, past.prefix.between(0, length))
    return prefill(model, first, common, memory)
