"""Decoder layers that know what stands before a token by a state alone, and sequences that part on their way through.

A gated delta rule (Qwen3.5), a short convolution (LFM2) and a state space (Mamba-2) pass a state from token to token:
the last columns of a convolution, a matrix for each head, or both. transformers hands a layer its state through the
methods of a cache. Here that cache keeps what it is given and writes over nothing, so that several stretches of tokens
can start from the state in which another one ended, and gradients flow through it. The layer's own `forward` computes
each stretch, with the kernels that are installed and fit (`models.kernels`).

    with forking(model):
        model(..., forked=fork)     # `fork.through(layer, hidden, run)` says from which state each stretch starts
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import PreTrainedModel

from cityscribe.models.kernels import fitting_kernels
from cityscribe.models.parts import decoder

RECURRENT = {
    "Qwen3NextGatedDeltaNet": "cache_params",
    "Qwen3_5GatedDeltaNet": "cache_params",
    "Qwen3_5MoeGatedDeltaNet": "cache_params",
    "Lfm2ShortConv": "past_key_values",
    "Lfm2MoeShortConv": "past_key_values",
    "NemotronHMamba2Mixer": "cache_params",
    "Mamba2Mixer": "cache_params",
}
"""The layers that take a state for stretches of any length, and the argument of `forward` that hands it to them."""

UNFORKED = "_cityscribe_forward"
"""Where a layer's own `forward` is kept meanwhile."""

LayerState = dict[str, Tensor]
"""What a layer knows of the tokens before: `conv.0` [batch, channels, kernel], `recurrent.0` [batch, heads, ...]."""

FromState = Callable[[Tensor, LayerState], tuple[Tensor, LayerState]]
"""From hidden states [batch, length, width] and the state before them (empty: none) to the output and the state behind
them."""


class Forked(Protocol):
    """Sequences that part, as a recurrent layer meets them."""

    def through(self, layer: int, hidden: Tensor, run: FromState) -> Tensor:
        """What the layer with this number makes of hidden states [rows, length, width], stretch by stretch."""
        ...


def recurrent_layers(model: PreTrainedModel) -> dict[int, nn.Module]:
    """The layers of a decoder that carry a state and can be started from any, by their number."""
    return {int(vars(layer)["layer_idx"]): layer for layer in _known(model)}


@contextmanager
def forking(model: PreTrainedModel) -> Iterator[None]:
    """Within it recurrent layers go by the argument `forked` of the model's `forward`; without that they do as ever."""
    patched = []
    for layer in _known(model):
        before = vars(layer).get("forward")
        vars(layer)[UNFORKED] = before or MethodType(type(layer).forward, layer)
        # A method and not a closure: a copy of the model computes with its own weights.
        vars(layer)["forward"] = MethodType(_forward, layer)
        patched.append((layer, before))
    try:
        with fitting_kernels(_known(model), model.device.type):
            yield
    finally:
        for layer, before in patched:
            del vars(layer)[UNFORKED], vars(layer)["forward"]
            if before is not None:
                vars(layer)["forward"] = before


class _Carrier:
    """What a recurrent layer asks of a cache, answered from one state, with the next state kept apart."""

    def __init__(self, before: LayerState) -> None:
        self.before = before
        self.after: LayerState = {}

    def get_conv_state(self, layer_idx: int, state_idx: int = 0) -> Tensor | None:
        return self.before.get(f"conv.{state_idx}")

    def update_conv_state(
        self, conv_states: Tensor, layer_idx: int, state_idx: int = 0, *, conv_kernel_size: int
    ) -> Tensor:
        """The new columns [batch, channels, length] behind those that the convolution reads with them."""
        name = f"conv.{state_idx}"
        known = self.before.get(name)
        seen = conv_states if known is None else torch.cat([known, conv_states], dim=2)
        # Where there is nothing before the first token the convolution sees zeros.
        self.after[name] = pad(seen, (max(conv_kernel_size - seen.shape[2], 0), 0))[:, :, -conv_kernel_size:]
        return seen

    def get_recurrent_state(self, layer_idx: int, state_idx: int = 0) -> Tensor | None:
        name = f"recurrent.{state_idx}"
        known = self.before.get(name)
        if known is not None:
            # Some kernels write the next state of a single token into the one that they are given.
            self.after[name] = known = known.clone()
        return known

    def update_recurrent_state(
        self, recurrent_states: Tensor, layer_idx: int, state_idx: int = 0, **_: object
    ) -> Tensor:
        self.after[f"recurrent.{state_idx}"] = recurrent_states
        return recurrent_states

    def has_previous_state(self, layer_idx: int | None = None, state_idx: int | None = None) -> bool:
        return bool(self.before)

    def is_recording_past(self, layer_idx: int) -> bool:
        """True, which keeps a layer from writing over the columns of its convolution."""
        return True


def _forward(
    layer: nn.Module, hidden_states: Tensor, *args: Any, forked: Forked | None = None, **kwargs: Any
) -> Tensor:
    compute: Callable[..., Tensor] = vars(layer)[UNFORKED]
    if forked is None:
        return compute(hidden_states, *args, **kwargs)
    argument = _argument(layer)

    def run(hidden: Tensor, before: LayerState) -> tuple[Tensor, LayerState]:
        carrier = _Carrier(before)
        return compute(hidden, **{argument: carrier}), carrier.after

    return forked.through(int(vars(layer)["layer_idx"]), hidden_states, run)


def _argument(module: nn.Module) -> str:
    """The argument that hands a layer its state; empty for one that is not known to take one."""
    return next((RECURRENT[kind.__name__] for kind in type(module).__mro__ if kind.__name__ in RECURRENT), "")


def _known(model: PreTrainedModel) -> list[nn.Module]:
    return [module for module in decoder(model).modules() if _argument(module)]
