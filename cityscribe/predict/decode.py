"""Decode many prompts at once on shared prefixes.

    memory = Memory()
    answer_prompts(model, [Talk(prompt, limit=64), ...], ends=[2], memory=memory)

Prompts about the same images (a scene) share what they have in common up to where they part: it is computed once, by
the model's own `forward`. From there on every prompt is a row of a `SharedCache`, and all rows of all scenes go
together: first what is left of the prompts, then token by token, or several at a time where a draft proposes them and
the model agrees. Rows that are finished drop out. Positions are always given explicitly, by the model's own rule.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from cityscribe.models.attention import decoder_attention
from cityscribe.predict.attention import NAME, KeyValues, SharedCache, next_step
from cityscribe.predict.constrain import Guide
from cityscribe.predict.drafts import Drafts
from cityscribe.predict.prompts import Prompt

Pick = Callable[["Talk", Tensor], int]
"""Chooses the next token of a talk from its logits [vocabulary]; what its grammar forbids is at minus infinity."""


@dataclass(slots=True, eq=False)
class Talk:
    """A prompt and what is said to it."""

    prompt: Prompt
    limit: int  # tokens that may be said
    said: list[int] = field(default_factory=list)
    steps: int = 0  # passes of the model in which tokens were chosen
    bad: bool = False  # its logits overflowed or were not numbers; an end token was put in their place
    generator: torch.Generator | None = None  # where tokens are drawn
    guide: Guide | None = None  # where its grammar allows only some tokens
    first_s: float = 0.0  # from when its batch was begun to its first token
    seconds: float = 0.0  # to its last


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """A sequence whose keys and values are known."""

    input_ids: np.ndarray
    prefix: KeyValues
    own: KeyValues

    def between(self, start: int, end: int) -> KeyValues:
        """The keys and values of the tokens from `start` to `end`."""
        split = self.prefix[0][0].shape[1]
        return [
            (_slice(keys, own_keys, split, start, end), _slice(values, own_values, split, start, end))
            for (keys, values), (own_keys, own_values) in zip(self.prefix, self.own, strict=True)
        ]


@dataclass(slots=True, eq=False)
class Memory:
    """What the last batch computed, by scene: the next turn of a conversation, or another question about the same
    images, continues it."""

    scenes: dict[bytes, list[Past]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """Prompts whose shared beginnings are computed: a row each, and how many of its tokens are in the cache."""

    cache: SharedCache
    fed: list[int]


def begin(model: PreTrainedModel, prompts: Sequence[Prompt], memory: Memory) -> Begun:
    """Compute what the prompts of each scene share, or take it from memory; at least the last token is left over."""
    scenes: dict[bytes, list[int]] = {}
    for row, prompt in enumerate(prompts):
        scenes.setdefault(prompt.scene, []).append(row)
    prefixes: list[KeyValues] = []
    prefix_of = [0] * len(prompts)
    starts = [0] * len(prompts)
    for number, (scene, rows) in enumerate(scenes.items()):
        prefix = _prefix(model, [prompts[row] for row in rows], memory.scenes.get(scene, []))
        prefixes.append(prefix)
        for row in rows:
            prefix_of[row], starts[row] = number, prefix[0][0].shape[1]
    cache = SharedCache(prefixes, prefix_of)
    fed = list(starts)
    for row, prompt in enumerate(prompts):
        known = memory.scenes.get(prompt.scene, [])
        best = max(known, key=lambda past: common_length(past.input_ids, prompt.input_ids), default=None)
        if best is not None:
            until = min(common_length(best.input_ids, prompt.input_ids), len(prompt.input_ids) - 1)
            if until > starts[row]:
                cache.fill(row, best.between(starts[row], until))
                fed[row] = until
    return Begun(cache, fed)


def feed(
    model: PreTrainedModel,
    cache: SharedCache,
    tokens: Sequence[Sequence[int]],
    position_ids: Sequence[np.ndarray],
    wanted: Sequence[int],
) -> Tensor:
    """Give every row its further tokens, with their positions [axes, tokens of the row].

    Needs `decoder_attention(model, NAME)` around it. Returns the logits of the last `wanted[r]` tokens of each row, one
    below the other, [sum of wanted, vocabulary]. Does not advance `cache.lengths`: the caller knows which
    of the tokens stay.
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


def positions_from(prompt: Prompt, start: int, count: int) -> np.ndarray:
    """The positions [axes, count] of the tokens from `start` on of a sequence that begins with a prompt."""
    length = len(prompt.input_ids)
    own = prompt.position_ids[:, start : start + count]
    later = np.arange(max(start, length), start + count) - length + prompt.next_position
    return np.concatenate([own, np.broadcast_to(later, (len(own), len(later)))], axis=1)


def answer_prompts(
    model: PreTrainedModel,
    talks: Sequence[Talk],
    *,
    ends: Sequence[int],
    memory: Memory,
    pick: Pick | None = None,
    drafts: Drafts | None = None,
) -> None:
    """Fill in what is said to each prompt: until an end token, which counts, or its limit. Greedy without `pick`.

    Drafts change how many steps it takes, and nothing else. `memory` is read, and left with this batch.
    """
    began = time.perf_counter()
    begun = begin(model, [talk.prompt for talk in talks], memory)
    with decoder_attention(model, NAME):
        memory.scenes = _decode(model, talks, begun, ends, pick, drafts, began)


def _decode(
    model: PreTrainedModel,
    talks: Sequence[Talk],
    begun: Begun,
    ends: Sequence[int],
    pick: Pick | None,
    drafts: Drafts | None,
    began: float,
) -> dict[bytes, list[Past]]:
    """Talk until all is said. Returns what was computed, by scene."""
    cache = begun.cache
    computed: dict[bytes, list[Past]] = {}
    prefix_of = {id(talk): cache.prefix(cache.prefix_of[row]) for row, talk in enumerate(talks)}
    alive = list(talks)
    fed = begun.fed
    while alive:
        proposed = [_draft(talk, drafts) for talk in alive]
        tokens = [[*_sequence(talk)[start:], *draft] for talk, start, draft in zip(alive, fed, proposed, strict=True)]
        positions = [
            positions_from(talk.prompt, start, len(each)) for talk, start, each in zip(alive, fed, tokens, strict=True)
        ]
        wanted = [1 + len(draft) for draft in proposed]
        logits = feed(model, cache, tokens, positions, wanted)
        # The comparison is false for NaN as well. Minus infinity is how tokens are forbidden.
        finite = (logits < float("inf")).all(dim=1).tolist()
        greedy = logits.argmax(dim=1).tolist() if pick is None else []
        place = 0
        going: list[int] = []
        for row, (talk, draft) in enumerate(zip(alive, proposed, strict=True)):
            talk.steps += 1
            accepted, done = 0, False
            for n in range(1 + len(draft)):
                if not finite[place + n]:
                    talk.bad = True
                    talk.said.append(ends[0])
                elif talk.guide is None:
                    talk.said.append(greedy[place + n] if pick is None else pick(talk, logits[place + n]))
                else:
                    masked = talk.guide.mask(logits[place + n])
                    if masked is None:
                        done = True
                        break
                    talk.said.append(int(masked.argmax()) if pick is None else pick(talk, masked))
                done = talk.said[-1] in ends or len(talk.said) >= talk.limit
                if talk.guide is not None and not done:
                    talk.guide.take(talk.said[-1])
                if done or n == len(draft) or talk.said[-1] != draft[n]:
                    break
                accepted += 1
            talk.seconds = time.perf_counter() - began
            talk.first_s = talk.first_s or talk.seconds
            place += 1 + len(draft)
            new = len(tokens[row]) - len(draft) + accepted
            cache.lengths[row] += new
            fed[row] += new
            if done:
                past = Past(np.array(_sequence(talk)[: fed[row]]), prefix_of[id(talk)], cache.row(row))
                computed.setdefault(talk.prompt.scene, []).append(past)
            else:
                going.append(row)
        if len(going) < len(alive):
            alive, fed = [alive[row] for row in going], [fed[row] for row in going]
            if going:
                cache.keep(going)
    return computed


def _draft(talk: Talk, drafts: Drafts | None) -> list[int]:
    """What may be said next, for the model to verify."""
    longest = talk.limit - len(talk.said) - 1
    if talk.guide is not None:
        return talk.guide.forced(longest)
    return drafts.propose(talk.said, longest) if drafts is not None else []


def common_length(first: np.ndarray, second: np.ndarray) -> int:
    """How many tokens two sequences have in common from the front."""
    shorter = min(len(first), len(second))
    differs = first[:shorter] != second[:shorter]
    return int(differs.argmax()) if differs.any() else shorter


def prefill(model: PreTrainedModel, prompt: Prompt, length: int) -> KeyValues:
    """Keys and values of the first `length` tokens of a prompt with all its images, by the model's own `forward`."""
    cache = DynamicCache()
    positions = torch.from_numpy(prompt.position_ids[:, :length]).to(model.device)
    model(
        input_ids=torch.from_numpy(prompt.input_ids[None, :length]).to(model.device),
        position_ids=positions[:, None] if len(positions) > 1 else positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
        **image_inputs_of(model, prompt),
    )
    layers: list[Any] = cache.layers
    return [(layer.keys[0], layer.values[0]) for layer in layers]


def image_inputs_of(model: PreTrainedModel, prompt: Prompt) -> dict[str, Tensor]:
    """What the model takes for the images of a prompt, where the model is and in its type."""
    return {
        name: value.to(model.device, model.dtype if value.is_floating_point() else value.dtype)
        for name, value in prompt.media_inputs.items()
    }


def token_inputs_of(model: PreTrainedModel, prompt: Prompt) -> dict[str, Tensor]:
    """What `generate` takes for each token of a prompt beside its id, [1, length] each, where the model is."""
    return {name: value.to(model.device) for name, value in prompt.tensors().items() if name != "input_ids"}


def _prefix(model: PreTrainedModel, prompts: Sequence[Prompt], known: Sequence[Past]) -> KeyValues:
    """The shared beginning of the prompts of one scene: all of what they have in common, or as much as is known of it
    where that covers the images."""
    first = prompts[0]
    common = min(
        min(common_length(first.input_ids, prompt.input_ids) for prompt in prompts),
        min(len(prompt.input_ids) for prompt in prompts) - 1,
    )
    if known:
        past = known[0]
        length = min(common_length(past.input_ids, first.input_ids), common, past.prefix[0][0].shape[1])
        if length >= first.media_end:
            return [(keys[:, :length], values[:, :length]) for keys, values in past.prefix]
    return prefill(model, first, common)


def _sequence(talk: Talk) -> list[int]:
    return [*talk.prompt.input_ids.tolist(), *talk.said]


def _slice(prefix: Tensor, own: Tensor, split: int, start: int, end: int) -> Tensor:
    parts = [prefix[:, start : min(end, split)]] if start < split else []
    parts += [own[:, max(start - split, 0) : end - split]] if end > split else []
    return torch.cat(parts, dim=1)
