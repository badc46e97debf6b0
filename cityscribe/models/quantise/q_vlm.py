"""Q-VLM: layers that depend on each other are rounded together (Wang et al. 2024, NeurIPS).

What the rounding of a layer costs shows behind the layers after it. Searching all layers together would be too much, so
the decoder is cut into blocks of consecutive layers, by the entropy of their activations as a stand-in for how much the
layers depend on each other: a layer whose activations have more entropy than the average is searched together with the
next one, up to `LARGEST` layers. Within a block the sizes of the grids (how much of the largest weights is cut off) are
chosen one linear layer after the other, each by what comes out of the whole block, beginning from AWQ's choice.

The published search also rounds activations, and the vision tower, which stays as it is here. Its scaling by inputs is
AWQ's first step, which comes before.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cityscribe.models.quantise.awq import Awq
from cityscribe.models.quantise.block import Layer, LayerCall, mean_square, put_in
from cityscribe.models.quantise.rounding import Rounded, Scheme, round_weight

LARGEST = 3
"""Layers in a block, at most."""

SIZES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
"""Of the grid of a linear layer, as shares of the largest weights."""

BINS = 256


class QVlm(Awq):
    """A member of `QUANTISERS`."""

    def blocks(self, layers: Sequence[Layer]) -> list[list[int]]:
        return partition([entropy(layer.outputs()) for layer in layers])

    def search(self, layers: Sequence[Layer], scheme: Scheme) -> list[dict[str, Rounded]]:
        expected = layers[-1].outputs()
        for layer in layers:
            self.scale(layer, scheme)
        found = [self.cut(layer, scheme) for layer in layers]
        weights = [{name: linear.weight.detach() for name, linear in layer.linears().items()} for layer in layers]
        for layer, rounded in zip(layers, found, strict=True):
            put_in(layer, rounded)
        calls: Sequence[LayerCall] = layers[0].calls
        least = _error(layers, calls, expected)
        for place, (layer, rounded, before) in enumerate(zip(layers, found, weights, strict=True)):
            if place:  # the layers before are chosen, and what they give stays
                given = [call.run(layers[place - 1].module) for call in calls]
                calls = [_with_states(call, hidden) for call, hidden in zip(layer.calls, given, strict=True)]
            for name, linear in layer.linears().items():
                for size in SIZES:
                    tried = resized(before[name], scheme, size)
                    linear.weight.data = tried.weight()
                    error = _error(layers[place:], calls, expected)
                    if error < least:
                        least, rounded[name] = error, tried
                linear.weight.data = rounded[name].weight()
        for layer, before in zip(layers, weights, strict=True):
            for name, linear in layer.linears().items():
                linear.weight.data = before[name]
        return found


def partition(entropies: Sequence[float]) -> list[list[int]]:
    """The numbers of layers in blocks: one with more entropy than the average takes the next layer into its block."""
    average = sum(entropies) / len(entropies)
    blocks: list[list[int]] = []
    for number in range(len(entropies)):
        joins = number > 0 and entropies[number - 1] > average and len(blocks[-1]) < LARGEST
        if joins:
            blocks[-1].append(number)
        else:
            blocks.append([number])
    return blocks


def entropy(activations: Sequence[Tensor]) -> float:
    """The entropy of activations in nats, from how many fall into each of `BINS` equal bins."""
    values = torch.cat([each.float().flatten() for each in activations])
    low, high = (float(end) for end in values.aminmax())
    if high <= low:
        return 0.0
    shares = torch.histc(values, BINS, low, high) / len(values)
    return float(-torch.xlogy(shares, shares).sum())


def resized(weight: Tensor, scheme: Scheme, size: float) -> Rounded:
    """A weight on grids of a share of their usual size."""
    grouped = weight.view(len(weight), -1, scheme.width(weight.shape[1]))
    return round_weight(weight, scheme, grouped.abs().amax(dim=2) * size)


def _error(layers: Sequence[Layer], calls: Sequence[LayerCall], expected: Sequence[Tensor]) -> float:
    """How far what comes out of layers is from what it is to be; the first of them is called so."""
    return mean_square([_through(layers, call, n) for n, call in enumerate(calls)], expected)


def _through(layers: Sequence[Layer], first: LayerCall, number: int) -> Tensor:
    """What comes out of layers for one of their calls, the first of them called so, and each other reading what the one
    before gives."""
    hidden = first.run(layers[0].module)
    for layer in layers[1:]:
        hidden = _with_states(layer.calls[number], hidden).run(layer.module)
    return hidden


def _with_states(call: LayerCall, hidden: Tensor) -> LayerCall:
    if call.args:
        return LayerCall((hidden, *call.args[1:]), call.kwargs)
    return LayerCall((), {**call.kwargs, "hidden_states": hidden})
