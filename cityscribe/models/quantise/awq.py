"""AWQ: weights that meet large inputs are scaled up before they are rounded (Lin et al. 2024, MLSys).

For each group of linear layers with a common input, columns of the weight are multiplied by s and what gives the input
is divided by s, so that nothing changes before rounding. The search tries s = (mean magnitude of the input)^r for r
from 0 to 0.95 in steps of 1/20 and keeps what disturbs the output of the attention, of the MLP or of the layer itself
the least. Then it tries to cut the largest weights of each group off, by up to 45 % in steps of 5 %, except in queries
and keys, whose products are too sensitive to it. Both grids are those of the published code (mit-han-lab/llm-awq).

Two things differ. The factors go by what the norm before them can hold: s is taken so that norm weight / s is a number
of the checkpoint's type, so that a bf16 checkpoint is unchanged before rounding as well. And the error of a cut is
computed from the second moments of the inputs, which is the error over all tokens and not over a sample of 512.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cityscribe.files import InputError
from cityscribe.models.quantise.block import Layer, LayerCall, mean_square, tokens_of
from cityscribe.models.quantise.rounding import Rounded, Scheme, round_weight, rounded_weight

RATIOS = tuple(step / 20 for step in range(20))
CUTS = tuple(step / 20 for step in range(10))
"""Shares by which the largest weight of a group may be cut."""

UNCUT = ("q_proj", "k_proj", "qkv_proj")
LEAST_FACTOR = 1e-4


@dataclass(frozen=True, slots=True)
class ScaledGroup:
    """Linear layers with a common input, by their names in a decoder layer."""

    source: str  # a norm, or the linear layer whose outputs they read
    readers: tuple[str, ...]
    inspected: str  # the module whose output must not change


class Awq:
    """A member of `QUANTISERS`. `dtype` is the type that the checkpoint stores norms in."""

    calibrated = True

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype

    def blocks(self, layers: Sequence[Layer]) -> list[list[int]]:
        return [[layer.number] for layer in layers]

    def search(self, layers: Sequence[Layer], scheme: Scheme) -> list[dict[str, Rounded]]:
        found = []
        for layer in layers:
            self.scale(layer, scheme)
            found.append(self.cut(layer, scheme))
        return found

    def scale(self, layer: Layer, scheme: Scheme) -> None:
        """Scale a layer in place for its rounding. What it computes stays the same."""
        for group in groups_of(layer):
            modules = {group.inspected: layer.module.get_submodule(group.inspected)}
            modules[group.readers[0]] = layer.module.get_submodule(group.readers[0])
            calls = layer.inputs_of(modules)
            factors = self._search(layer, group, calls, scheme)
            apply_factors(layer.module, group, factors, self.dtype)

    def cut(self, layer: Layer, scheme: Scheme) -> dict[str, Rounded]:
        """Round a layer's weights, the largest of them cut where that disturbs its outputs less."""
        linears = layer.linears()
        calls = layer.inputs_of(dict(linears))
        found = {}
        for name, linear in linears.items():
            weight = linear.weight.detach().float()
            limit = None if name.endswith(UNCUT) else _limit(weight, tokens_of(calls[name]), scheme)
            found[name] = round_weight(weight, scheme, limit)
        return found

    def _search(self, layer: Layer, group: ScaledGroup, calls: dict[str, list[LayerCall]], scheme: Scheme) -> Tensor:
        """The factors [in] of a group that disturb its inspected module the least."""
        inspected = layer.module.get_submodule(group.inspected)
        readers = [layer.linears()[name] for name in group.readers]
        seen = calls[group.inspected]
        expected = [call.run(inspected) for call in seen]
        magnitude = tokens_of(calls[group.readers[0]]).abs().mean(dim=0)
        best, least = torch.ones_like(magnitude), float("inf")
        for ratio in RATIOS:
            factors = (magnitude**ratio).clamp(min=LEAST_FACTOR)
            factors = factors / (factors.max() * factors.min()).sqrt()
            factors = storable(layer.module.get_submodule(group.source), factors, self.dtype)
            candidates = [rounded_weight(linear.weight * factors, scheme) / factors for linear in readers]
            with weights_in_place(readers, candidates):
                error = mean_square([call.run(inspected) for call in seen], expected)
            if error < least:
                best, least = factors, error
        return best


def groups_of(layer: Layer) -> Iterator[ScaledGroup]:
    """The groups of a layer of Llama's kind, in the order of the computation.

    Values and the attention's output layer are a group only where they are of one width: with grouped queries several
    inputs of the latter read one output of the former. Raises InputError for a layer that is built in another way.
    """
    names = dict(layer.module.named_modules())
    linears = layer.linears()

    def present(*wanted: str) -> tuple[str, ...]:
        return tuple(name for name in wanted if name in linears)

    queries = present("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj") or present("self_attn.qkv_proj")
    gates = present("mlp.gate_proj", "mlp.up_proj") or present("mlp.gate_up_proj")
    outputs, downs = present("self_attn.o_proj"), present("mlp.down_proj")
    before_mlp = next((name for name in ("pre_feedforward_layernorm", "post_attention_layernorm") if name in names), "")
    if not (queries and gates and outputs and downs and before_mlp and "input_layernorm" in names):
        raise InputError(
            f"`{layer.name}`: is no layer of Llama's kind, awq does not know what reads what in it; use method rtn"
        )
    yield ScaledGroup("input_layernorm", queries, "self_attn")
    values = linears.get("self_attn.v_proj")
    if values is not None and values.out_features == linears[outputs[0]].in_features:
        yield ScaledGroup("self_attn.v_proj", outputs, outputs[0])
    yield ScaledGroup(before_mlp, gates, "mlp")
    if "mlp.up_proj" in linears:
        yield ScaledGroup("mlp.up_proj", downs, downs[0])


def storable(source: nn.Module, factors: Tensor, dtype: torch.dtype) -> Tensor:
    """The factors nearest to these by which what a norm stores can be divided without a remainder in a type."""
    if isinstance(source, nn.Linear):
        return factors
    offset = norm_offset(source)
    gain = norm_weight(source) + offset
    stored = (gain / factors - offset).to(dtype).float() + offset
    return torch.where((stored != 0) & (gain != 0), gain / stored, torch.ones_like(gain))


def apply_factors(layer: nn.Module, group: ScaledGroup, factors: Tensor, dtype: torch.dtype) -> None:
    """Multiply the columns of the readers of a group and divide what gives their input, in place. `factors` are
    `storable` in the type."""
    source: Any = layer.get_submodule(group.source)
    with torch.no_grad():
        if isinstance(source, nn.Linear):
            source.weight.div_(factors[:, None])
        else:
            offset = norm_offset(source)
            source.weight.copy_(((source.weight + offset) / factors - offset).to(dtype))
        for name, bias in source.named_parameters(recurse=False):
            if name == "bias":
                bias.div_(factors)
        for name in group.readers:
            reader: Any = layer.get_submodule(name)
            reader.weight.mul_(factors)


def norm_weight(norm: nn.Module) -> Tensor:
    return dict(norm.named_parameters(recurse=False))["weight"].detach().float()


def norm_offset(norm: nn.Module) -> float:
    """What a norm adds to its weight: 0, or 1 in Gemma's kind. What it gives with a weight of zeros tells."""
    probe: Any = copy.deepcopy(norm)
    with torch.no_grad():
        for parameter in probe.parameters():
            parameter.zero_()
        ones = torch.ones_like(probe.weight)
        ones[::2] = -1
        return float(probe(ones[None, None]).abs().max() > 0)


@contextmanager
def weights_in_place(linears: Sequence[nn.Linear], weights: Sequence[Tensor]) -> Iterator[None]:
    """Within it linear layers have other weights."""
    before = [linear.weight.data for linear in linears]
    try:
        for linear, weight in zip(linears, weights, strict=True):
            linear.weight.data = weight
        yield
    finally:
        for linear, data in zip(linears, before, strict=True):
            linear.weight.data = data


def _limit(weight: Tensor, inputs: Tensor, scheme: Scheme) -> Tensor:
    """The largest magnitude [out, groups] that each group of a weight [out, in] is cut to.

    The squared change of a row's output, summed over tokens, is e' M e, with e the change of the group's weights and M
    the second moments of its inputs.
    """
    width = scheme.width(weight.shape[1])
    grouped = inputs.view(len(inputs), -1, width)
    moments = torch.einsum("tgi,tgj->gij", grouped, grouped)
    split = weight.view(len(weight), -1, width)
    most = split.abs().amax(dim=2)
    best, least = most, torch.full_like(most, float("inf"))
    for cut in CUTS:
        limit = most * (1 - cut)
        change = (rounded_weight(weight, scheme, limit) - weight).view_as(split)
        error = (torch.einsum("ogi,gij->ogj", change, moments) * change).sum(dim=2)
        better = error < least
        best, least = torch.where(better, limit, best), torch.where(better, error, least)
    return best
