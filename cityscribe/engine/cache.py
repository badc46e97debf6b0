"""The cache of conversations that branch from the prefixes that they share.

A prefix (the images and what stands before and behind them) is kept once, however many conversations branch from it;
each conversation (a row) keeps only what is its own. Layers that carry a state (`models.recurrent`) have no keys. Each
row has a state of its own, which begins as a copy of its prefix's; a step computes the next ones, and `settle` takes
those of the rows all of whose tokens stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cityscribe.models.attention import Reach
from cityscribe.models.recurrent import LayerState

GROWTH = 64
"""Slots by which the own part of the rows grows when it is full."""

KeyValues = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, [key heads, length, width] each. A model that drops tokens on their way through its
decoder leaves another length in each layer. One without attention has no heads."""

States = dict[int, LayerState]
"""The states of the layers that carry one, by their numbers; [rows, ...] each."""


class SharedCache:
    """Keys and values of prefixes and of the rows that branch from them.

    For each layer `prefixes` are stacked, [prefixes, key heads, longest of that layer, width]; the own parts are [rows,
    key heads, slots, width]. `prefix_lengths` [prefixes][layers] says how many tokens of each prefix a layer has,
    `lengths` how many slots of each row are filled, `prefix_of` which prefix each row continues. `tokens` [prefixes]
    are those of the sequences, `states` what each row is at in the layers that carry a state, `reaches` how far back
    each layer sees.
    """

    def __init__(
        self,
        prefixes: Sequence[KeyValues],
        prefix_of: Sequence[int],
        tokens: Sequence[int] = (),
        states: Sequence[States] = (),
        reaches: Sequence[Reach] = (),
    ) -> None:
        self.reaches = list(reaches) or [Reach()] * len(prefixes[0])
        self.tokens = list(tokens) or [max(keys.shape[1] for keys, _ in layers) for layers in prefixes]
        self.states: States = {
            layer: {name: torch.cat([states[n][layer][name] for n in prefix_of]) for name in state}
            for layer, state in (states[0] if states else {}).items()
        }
        self.next_states: States = {}
        self.prefix_lengths = [tuple(keys.shape[1] for keys, _ in layers) for layers in prefixes]
        self.prefix_of = list(prefix_of)
        self.lengths = [0] * len(prefix_of)
        self.prefixes = [
            (_stack([layers[n][0] for layers in prefixes]), _stack([layers[n][1] for layers in prefixes]))
            for n in range(len(prefixes[0]))
        ]
        rows = len(prefix_of)
        self.own = [
            tuple(part.new_zeros(rows, part.shape[1], 0, part.shape[3]) for part in layer) for layer in self.prefixes
        ]

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

    def fill(self, row: int, past: KeyValues, states: States) -> None:
        """Begin the own part of a row with what was computed before, and with the states behind that."""
        for layer, state in states.items():
            for name, value in state.items():
                self.states[layer][name][row] = value[0]
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

    def states_of(self, row: int) -> States:
        """The states of a row, as copies."""
        return {
            layer: {name: value[row : row + 1].clone() for name, value in state.items()}
            for layer, state in self.states.items()
        }

    def settle(self, stays: Sequence[bool]) -> None:
        """Take the states behind the last step for rows all of whose tokens stay; the others are where they were."""
        if all(stays):
            self.states = self.next_states
        elif self.states:
            rows = torch.tensor([row for row, stay in enumerate(stays) if stay], device=self.own[0][0].device)
            for layer, state in self.next_states.items():
                for name, value in state.items():
                    self.states[layer][name][rows] = value[rows]
        self.next_states = {}

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all other rows, and the prefixes that none of these continues."""
        index = torch.tensor(rows, device=self.own[0][0].device)
        self.states = {
            layer: {name: value[index] for name, value in state.items()} for layer, state in self.states.items()
        }
        self.own = [(keys[index], values[index]) for keys, values in self.own]
        self.lengths = [self.lengths[row] for row in rows]
        used = sorted({self.prefix_of[row] for row in rows})
        self.prefix_of = [used.index(self.prefix_of[row]) for row in rows]
        if len(used) < len(self.prefix_lengths):
            self.prefix_lengths = [self.prefix_lengths[number] for number in used]
            self.tokens = [self.tokens[number] for number in used]
            index = torch.tensor(used, device=index.device)
            self.prefixes = [
                (keys[index, :, : max(lengths)], values[index, :, : max(lengths)])
                for (keys, values), lengths in zip(self.prefixes, zip(*self.prefix_lengths, strict=True), strict=True)
            ]


def _stack(parts: Sequence[Tensor]) -> Tensor:
    """Parts [key heads, length, width] of different lengths, padded with zeros."""
    longest = max(part.shape[1] for part in parts)
    return torch.stack([nn.functional.pad(part, (0, 0, 0, longest - part.shape[1])) for part in parts])
