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
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from cityscribe.engine.attention import next_step
from cityscribe.engine.cache import KeyValues, SharedCache, States
from cityscribe.models.attention import Reach, layer_types, reaches
from cityscribe.models.inputs import only_kept
from cityscribe.models.recurrent import recurrent_layers
from cityscribe.tokens.encode import Encoded
from cityscribe.tokens.media import POSITION_INPUTS, join_media


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """The first tokens of a sequence, computed.

    A model that drops tokens on their way through its decoder has fewer keys than tokens in some layers. What it drops
    are tokens of images; each token behind the last image has its place in every layer, counted from the end.
    """

    tokens: int
    layers: KeyValues
    # What layers with a state are at behind so many tokens: where it can be continued. Without such layers, anywhere.
    marks: dict[int, States] = field(default_factory=dict)

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
    states: States = field(default_factory=dict)  # behind the last token

    def shared(self, input_ids: np.ndarray) -> int:
        """How many tokens of another sequence it can stand for: from a state none can be taken back."""
        common = common_length(self.input_ids, input_ids)
        return 0 if self.states and common < len(self.input_ids) else common

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
    prefixes: list[Prefix]
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
    cache = fork(model, prefixes, prefix_of)
    fed = [prefixes[number].tokens for number in prefix_of]
    for row, prompt in enumerate(prompts):
        before = prompt.input_ids[:-1]
        best = max(memory.scenes.get(prompt.scene, []), key=lambda past: past.shared(before), default=None)
        if best is not None:
            until = best.shared(before)
            if until > fed[row]:
                cache.fill(row, best.between(fed[row], until), best.states)
                fed[row] = until
    return Begun(cache, prefixes, fed)


def fork(model: PreTrainedModel, prefixes: Sequence[Prefix], prefix_of: Sequence[int]) -> SharedCache:
    """The cache of rows that continue prefixes: row r the prefix `prefix_of[r]`."""
    known = reaches(model)
    return SharedCache(
        [prefix.layers for prefix in prefixes],
        prefix_of,
        [prefix.tokens for prefix in prefixes],
        [prefix.marks.get(prefix.tokens, {}) for prefix in prefixes],
        [known.get(kind, Reach()) for kind in layer_types(model)],
    )


def prefill(model: PreTrainedModel, prompt: Encoded, length: int, memory: Memory | None = None) -> Prefix:
    """The first `length` tokens of a prompt with all its images, by the model's own `forward`.

    Media at its beginning that do not depend on what is asked are computed once for all prompts that begin with them
    (`memory`).
    """
    before, known = Prefix(0, []), 0
    if memory is not None and 0 < prompt.unguided_end < length:
        key, known = _unguided_key(prompt), prompt.unguided
        if key not in memory.unguided:
            memory.unguided[key] = _computed(model, prompt, before, prompt.unguided_end, 0, known)
        before = memory.unguided[key]
    if recurrent_layers(model) and before.tokens < prompt.media_end < length:
        # A state can be continued where it was looked at only: behind the images other questions part from these.
        before, known = _computed(model, prompt, before, prompt.media_end, known, len(prompt.media)), len(prompt.media)
    return _computed(model, prompt, before, length, known, len(prompt.media))


def _computed(model: PreTrainedModel, prompt: Encoded, before: Prefix, length: int, first: int, last: int) -> Prefix:
    """The tokens of a prompt up to `length`, of which those of `before` are known, with its media `first` to `last`."""
    part = slice(before.tokens, length)
    cache = _cache_of(model, before)
    positions = torch.from_numpy(prompt.position_ids[:, part]).to(model.device)
    model(
        input_ids=torch.from_numpy(prompt.input_ids[None, part]).to(model.device),
        position_ids=positions[:, None] if len(positions) > 1 else positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
        **{name: value[:, part] for name, value in token_inputs_of(model, prompt).items()},
        **on_device(model, join_media([item.inputs for item in prompt.media[first:last]])),
    )
    nothing = torch.empty(0, length, 0, device=model.device)
    layers: KeyValues = []
    for layer in cache.layers:
        known: Any = vars(layer).get("keys"), vars(layer).get("values")
        layers.append((nothing, nothing) if known[0] is None else (known[0][0], known[1][0]))
    return Prefix(length, layers, {**before.marks, length: _states(model, cache)})


def _cache_of(model: PreTrainedModel, before: Prefix) -> DynamicCache:
    """A cache that holds what is known: all keys also where layers have a window, and the states of those with one."""
    cache = DynamicCache(config=model.config) if recurrent_layers(model) else DynamicCache()
    cache.layers = [DynamicLayer() if isinstance(layer, DynamicSlidingWindowLayer) else layer for layer in cache.layers]
    for number, (keys, values) in enumerate(before.layers):
        if len(keys):
            cache.update(keys[None], values[None], number)
    layers: list[Any] = cache.layers
    for number, state in before.marks.get(before.tokens, {}).items():
        for name, value in state.items():
            kind, index = name.split(".")
            layers[number].lazy_initialization(**{f"{kind}_states": value, "state_idx": int(index)})
            vars(layers[number])[f"{kind}_states"][int(index)].copy_(value)
            layers[number].has_previous_state[int(index)] = True
    return cache


def _states(model: PreTrainedModel, cache: DynamicCache) -> States:
    """Copies of what recurrent layers are at."""
    layers: list[Any] = cache.layers
    return {
        number: {
            f"{kind}.{index}": value.clone()
            for kind in ("conv", "recurrent")
            for index, value in vars(layers[number])[f"{kind}_states"].items()
            if value is not None
        }
        for number in recurrent_layers(model)
    }


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
        **({"forked": step} if cache.states else {}),
    ).logits
    return only_kept(logits, torch.tensor([keep], device=device))


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
        name: value.to(model.device, model.dtype if _is_cast(name, value) else value.dtype)
        for name, value in inputs.items()
    }


def _is_cast(name: str, value: Tensor) -> bool:
    return value.is_floating_point() and name not in POSITION_INPUTS


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
        if past.states:
            length = max((mark for mark in past.prefix.marks if mark <= length), default=0)
        if length >= first.media_end and (length or not past.states):
            marks = {mark: states for mark, states in past.prefix.marks.items() if mark <= length}
            return Prefix(length, past.prefix.between(0, length), marks)
    return prefill(model, first, common, memory)
