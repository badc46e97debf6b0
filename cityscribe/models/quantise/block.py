"""What a search sees of a model: the layers of its decoder, and what they were called with on calibration samples.

    layers = record_layers(model, calibration)
    outputs = layers[3].outputs()               # of the layer as it is now, on what it was called with

The model runs once, and each layer keeps the calls that it got: no layer's calls depend on how those before it are
rounded. They take as much memory as the tokens times the width times the layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from cityscribe.files import InputError
from cityscribe.models.parts import decoder_layers
from cityscribe.models.quantise.rounding import Rounded, Scheme


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Forward passes over calibration samples."""

    passes: Sequence[Callable[[], object]]  # each calls the model on some of the samples
    samples: int
    tokens: int  # as computed: what samples share counts once
    digest: str  # of the samples and what they show


@dataclass(frozen=True, slots=True, eq=False)
class LayerCall:
    """What a module was called with."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def run(self, module: nn.Module) -> Tensor:
        """The module's hidden states for it, [..., width]."""
        found = module(*self.args, **self.kwargs)
        output: Tensor = found if isinstance(found, Tensor) else found[0]
        return output


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A layer of the decoder."""

    number: int
    name: str  # of the module in the model
    module: nn.Module
    calls: list[LayerCall] = field(default_factory=list)  # empty without calibration

    def linears(self) -> dict[str, nn.Linear]:
        """Its linear layers by their names in it."""
        return {name: each for name, each in self.module.named_modules() if isinstance(each, nn.Linear)}

    def outputs(self) -> list[Tensor]:
        return [call.run(self.module) for call in self.calls]

    def inputs_of(self, modules: dict[str, nn.Module]) -> dict[str, list[LayerCall]]:
        """What modules within it are called with on its own calls."""
        found: dict[str, list[LayerCall]] = {name: [] for name in modules}
        with recorded(modules, found):
            self.outputs()
        return found


def record_layers(model: PreTrainedModel, calibration: Calibration | None) -> list[Layer]:
    """The decoder's layers, with what they are called with on calibration samples where there are some."""
    names = {id(module): name for name, module in model.named_modules()}
    modules = list(decoder_layers(model))
    layers = [Layer(number, names[id(module)], module) for number, module in enumerate(modules)]
    if calibration is not None:
        keyed = {layer.name: layer for layer in layers}
        with recorded({name: layer.module for name, layer in keyed.items()}, {n: k.calls for n, k in keyed.items()}):
            for run in calibration.passes:
                run()
    return layers


def put_in(layer: Layer, rounded: Mapping[str, Rounded]) -> None:
    """Let a layer compute with rounded weights."""
    for name, linear in layer.linears().items():
        linear.weight.data = rounded[name].weight().to(linear.weight)


@contextmanager
def recorded(modules: dict[str, nn.Module], calls: dict[str, list[LayerCall]]) -> Iterator[None]:
    """Within it what these modules are called with is added to `calls`."""
    handles = []
    for name, module in modules.items():

        def note(_: nn.Module, args: Any, kwargs: Any, into: list[LayerCall] = calls[name]) -> None:
            into.append(LayerCall(args, dict(kwargs)))

        handles.append(module.register_forward_pre_hook(note, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def check_widths(layers: Sequence[Layer], scheme: Scheme, place: str) -> None:
    """Raises InputError, naming the checkpoint and the layer, for rows that groups do not divide."""
    for layer in layers:
        for name, linear in layer.linears().items():
            width = linear.in_features
            if width % scheme.width(width) or width % (32 // scheme.bits):
                raise InputError(
                    f"{place}: `{layer.name}.{name}` reads {width} values, which groups of {scheme.width(width)} do "
                    "not divide; choose a group that does"
                )


GROUPS = (128, 64, 32)
"""Weights to a scale that are tried where none is given, the usual number first."""


def choose_scheme(layers: Sequence[Layer], bits: int, group: int | None, place: str) -> Scheme:
    """The scheme of a checkpoint: in eight bits a scale for each row, in four bits groups of `group` weights, or of as
    many of `GROUPS` as divide all rows. Raises InputError where none does."""
    if bits == 8:
        scheme = Scheme(8, None)
    else:
        widths = {linear.in_features for layer in layers for linear in layer.linears().values()}
        fitting = [size for size in GROUPS if all(width % size == 0 for width in widths)]
        scheme = Scheme(4, group or (fitting or [GROUPS[-1]])[0])
    check_widths(layers, scheme, place)
    return scheme


def mean_square(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The mean squared difference of outputs."""
    total = sum(float((a.float() - b.float()).square().sum()) for a, b in zip(found, expected, strict=True))
    return total / sum(each.numel() for each in expected)


def tokens_of(calls: Sequence[LayerCall]) -> Tensor:
    """The hidden states that a module was called with, [tokens, width] float32."""
    states = [call.args[0] if call.args else call.kwargs["hidden_states"] for call in calls]
    return torch.cat([state.reshape(-1, state.shape[-1]) for state in states]).float()
