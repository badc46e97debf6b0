"""Block expansion (LLaMA-Pro; section 3.3 of CityLLaVA): deeper decoders that start out computing what they did.

After chosen decoder layers a copy of the layer is inserted in which the last projection of attention (or of what stands
in its place, a recurrent layer) and that of the feed-forward part are zero. Both end a branch that is added to the
residual stream, so that such a layer passes its input on unchanged until it has learned something.
Only the copies train, what the model knew stays in place.

Layers are found as modules, never by the names of weights, so that a vision tower with a `layers.4` of its own is left
alone. Everything that counts layers is renumbered: the cache index of each attention, the number of layers and the
per-layer lists of the configuration, so that the saved model is an ordinary one.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from cityscribe.files import InputError
from cityscribe.models.parts import decoder, decoder_layers, text_configs
from cityscribe.models.settings import ModelSettings

BRANCH_ENDS = (("o_proj", "out_proj"), ("down_proj", "w2", "fc2"))
"""What families call the last projections of the first branch of a layer (attention, gated delta rule, convolution,
state space) and of the feed-forward branch. Fused experts hold `down_proj` as a weight."""

ONE_BRANCH = "mixer"
"""The part of a layer that has one branch only, whichever it is (Nemotron-H)."""

ONE_PER_LAYER = (
    "layer_types",
    "mlp_layer_types",
    "layers_block_type",
    "no_rope_layers",
    "layer_rope_theta",
    "num_attention_heads_per_layer",
    "num_key_value_heads_per_layer",
    "intermediate_size",
    "activation_sparsity_pattern",
)
"""Fields of a configuration that may hold one entry a layer; of another length, or no list, they mean another thing."""

LAYER_NUMBERS = ("mlp_only_layers", "moe_layers", "cross_attention_layers", "full_attn_idxs")
"""Fields that list layers by their numbers."""

FIRST_LAYERS = ("max_window_layers", "first_k_dense_replace")
"""Fields that say how many of the first layers are of one kind."""

FED_BY_NUMBER = ("deepstack_layer_map", "spatial_target_layers")
"""Fields that say which decoder layers receive features of the vision tower; each family writes them in its own way."""

PROBE_TOKENS = 5


def even_positions(layers: int, blocks: int, first: int = 0) -> tuple[int, ...]:
    """After which of `layers` layers to insert `blocks` copies, spread evenly and ending with the last layer.

    60 layers and 12 blocks give 4, 9, ..., 59, so that the copies come to stand at 5, 11, ..., 71 as in LLaMA-Pro and
    CityLLaVA. Where blocks do not divide layers the gaps differ by one at most. No position is less than `first`.
    Raises InputError where there are more blocks than layers to copy.
    """
    spread = layers - first
    if blocks > spread:
        raise InputError(
            f"model.block_expansion.blocks: {blocks} copies, but the decoder offers {spread} layers to copy"
        )
    positions = tuple((block + 1) * layers // blocks - 1 for block in range(blocks))
    if positions[0] >= first:
        return positions
    return tuple(first + (block + 1) * spread // blocks - 1 for block in range(blocks))


def usual_blocks(layers: int) -> int:
    """A copy for every five layers, as CityLLaVA's 12 of 60; at least one."""
    return max(1, round(layers / 5))


def first_position(model: PreTrainedModel) -> int:
    """The first layer after which a copy may be inserted.

    Qwen3-VL adds features of its vision tower after the decoder's layers 0 to k - 1, by their number (DeepStack): a
    copy before the last of them would receive what its successor should.
    """
    vision = vars(model.config).get("vision_config")
    fed = vars(vision).get("deepstack_visual_indexes") if isinstance(vision, PreTrainedConfig) else None
    return max(0, len(fed or ()) - 1)


def deep_positions(layers: int, blocks: int, deepest: int, first: int = 0) -> tuple[int, ...]:
    """As `even_positions`, spread over the `deepest` last of the layers only. Raises InputError for more than exist."""
    if deepest > layers:
        raise InputError(f"model.block_expansion.deepest: {deepest}, but the decoder has {layers} layers")
    start = layers - deepest
    return tuple(start + position for position in even_positions(deepest, blocks, max(0, first - start)))


def add_blocks(model: PreTrainedModel, settings: ModelSettings) -> list[nn.Parameter]:
    """Expand as the settings say; returns what trains: the parameters of the copies."""
    expansion = settings.block_expansion
    positions = expansion.positions
    if positions is None:
        count = len(decoder_layers(model))
        blocks = usual_blocks(expansion.deepest or count) if expansion.blocks is None else expansion.blocks
        positions = deep_positions(count, blocks, expansion.deepest or count, first_position(model))
    return [parameter for layer in expand(model, positions) for parameter in layer.parameters()]


@torch.no_grad()
def expand(model: PreTrainedModel, positions: tuple[int, ...]) -> list[nn.Module]:
    """Insert a zeroed copy after each of the decoder layers `positions` (counted from 0 in the model as it is).

    Changes the model in place and returns the copies in order. The output of the model is identical, bit for bit.
    Raises InputError, with the model unchanged, where a position does not exist or comes twice, where the copies cannot
    be made silent (a layer whose branches do not end in one of `BRANCH_ENDS`), or where the layers do more than add to
    their input.
    """
    layers = decoder_layers(model)
    count = len(layers)
    for name in FED_BY_NUMBER:
        if vars(model.config).get(name):
            raise InputError(f"{type(model).__name__}: config.{name} feeds images to decoder layers by their numbers")
    first = first_position(model)
    ordered = sorted(set(positions))
    if len(ordered) != len(positions):
        raise InputError(f"model.block_expansion.positions: {list(positions)} names a layer twice")
    if not ordered or ordered[0] < first or ordered[-1] >= count:
        allowed = f"from {first} to {count - 1}"
        raise InputError(f"model.block_expansion.positions: {list(positions)}: expected numbers of layers {allowed}")

    configs = text_configs(model)
    shared = {id(config): config for config in configs}
    copies = [_silent_copy(layers[position], f"decoder layer {position}", shared) for position in ordered]
    before = [copy.deepcopy(vars(config)) for config in configs]
    try:
        expected = _probe(model)
    except Exception as error:  # whatever a decoder misses that is fed more than vectors
        raise InputError(
            f"{type(model).__name__}: cannot be expanded, its decoder does not run alone: {error}"
        ) from error
    for position, layer in zip(reversed(ordered), reversed(copies), strict=True):
        layers.insert(position + 1, layer)
    _renumber(layers)
    for config in configs:
        _lengthen(config, count, ordered)
    reason = _difference(model, expected)
    if reason:
        for layer in copies:
            del layers[next(index for index, member in enumerate(layers) if member is layer)]
        _renumber(layers)
        for config, fields in zip(configs, before, strict=True):
            vars(config).update(fields)
        raise InputError(f"{type(model).__name__}: cannot be expanded, {reason}")
    return copies


def _silent_copy(layer: nn.Module, place: str, shared: dict[int, PreTrainedConfig]) -> nn.Module:
    """A copy that adds nothing to the residual stream. The configuration objects stay shared, they are the model's."""
    silent = copy.deepcopy(layer, dict(shared))
    found = set()
    for name, parameter in silent.named_parameters():
        parts = set(name.split("."))
        ends = [names for names in BRANCH_ENDS if parts & set(names)]
        if ends:
            parameter.zero_()
            found.update(ends)
    missing = [" or ".join(names) for names in BRANCH_ENDS if names not in found]
    if len(missing) == len(BRANCH_ENDS) or (missing and ONE_BRANCH not in dict(layer.named_children())):
        raise InputError(f"{place}: has no {' and no '.join(missing)}; block expansion needs both to silence a copy")
    return silent


def _renumber(layers: nn.ModuleList) -> None:
    """Tell every module that knows the number of its layer the new one; with the old it would share another's cache."""
    for index, layer in enumerate(layers):
        for module in layer.modules():
            if "layer_idx" in vars(module):
                vars(module)["layer_idx"] = index


def _lengthen(config: PreTrainedConfig, count: int, positions: list[int]) -> None:
    """Make the configuration of a decoder of `count` layers that of the expanded one."""
    origins = [i for i in range(count) for _ in range(1 + (i in positions))]  # new number -> old number
    fields = vars(config)
    for name in ONE_PER_LAYER:
        values = fields.get(name)
        if isinstance(values, (list, tuple)) and len(values) == count:
            fields[name] = [values[origin] for origin in origins]
    for name in LAYER_NUMBERS:
        values = fields.get(name)
        if values:
            fields[name] = [index for index, origin in enumerate(origins) if origin in values]
    for name in FIRST_LAYERS:
        value = fields.get(name)
        if isinstance(value, int):
            fields[name] = value + sum(position < value for position in positions)
    config.num_hidden_layers = count + len(positions)


def _difference(model: PreTrainedModel, expected: torch.Tensor) -> str:
    """Why the expanded decoder is not the one that it was; empty where it is, and where there are no numbers."""
    if expected.is_meta:
        return ""
    try:
        return "" if torch.equal(_probe(model), expected) else "its layers do more than add to their input"
    except Exception as error:  # whatever a decoder runs into whose code counts its layers by itself
        return f"its decoder does not run with another number of layers: {type(error).__name__}: {error}"


def _probe(model: PreTrainedModel) -> torch.Tensor:
    """What the decoder makes of a few random vectors. [1, tokens, width]"""
    width = text_configs(model)[0].hidden_size
    if model.device.type == "meta":
        return torch.empty(1, PROBE_TOKENS, width, device="meta")
    vectors = torch.randn(1, PROBE_TOKENS, width, generator=torch.Generator().manual_seed(0))
    training = model.training
    model.eval()
    try:
        # A decoder with its head gives logits first, another one its hidden states.
        return decoder(model)(inputs_embeds=vectors.to(model.device, model.dtype))[0]
    finally:
        model.train(training)
