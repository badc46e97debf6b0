"""What a training holds in the memory of one device, in bytes.

weights      what is loaded: float32, the decoder's linear layers in four bits for qlora
gradients    float32, of what trains
moments      AdamW's two, float32, of what trains
activations  what the backward pass needs of one row of trees, and the logits of the tokens that are trained at once

The first three are counted and are what the trainer holds, to the byte. Activations are an estimate: of a decoder layer
it counts what a Llama layer keeps; a test holds it within a factor of 2.5 on small models. What the libraries take for
themselves on a GPU is not counted but for `RESERVED`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from cityscribe.models.parts import decoder, decoder_layers, vision_tower
from cityscribe.train.score import CHUNK
from cityscribe.train.sharing import Sharing

FLOAT32 = 4
FOUR_BITS = 0.5 + (1 + FLOAT32 / 256) / 64
"""Bytes of a weight in NF4: half a byte, and a scale in 8 bits a block of 64, itself scaled in blocks of 256."""

RESERVED = 1.5e9
"""Bytes on a GPU for the context of CUDA and the workspaces of its libraries: assumed."""


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Bytes on one device."""

    weights: int
    gradients: int
    moments: int
    activations: int  # estimated
    reserved: int  # assumed

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.moments + self.activations + self.reserved


def memory_of(
    model: PreTrainedModel,
    *,
    four_bit: bool,
    tokens: int,
    computes: torch.dtype,
    checkpointing: bool,
    offloaded: bool = False,
    devices: int = 1,
    sharing: Sharing = "alone",
) -> DeviceMemory:
    """Of a model that is prepared for tuning, and rows of `tokens` tokens, computed in a type. It may be on meta.

    `offloaded`: what checkpointed layers read waits in main memory (`train.offload_activations`).
    """
    trained = trained_numbers(model)
    share = devices if sharing == "fsdp2" else 1
    return DeviceMemory(
        weights=weight_bytes(model, four_bit, computes) // share,
        gradients=trained * FLOAT32 // share,
        moments=2 * trained * FLOAT32 // share,
        activations=activation_bytes(model, tokens, computes, checkpointing, offloaded),
        reserved=int(RESERVED),
    )


def trained_numbers(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def weight_bytes(model: PreTrainedModel, four_bit: bool, computes: torch.dtype) -> int:
    """The bytes of all parameters as `load_for_tuning` and the training hold them."""
    if not four_bit:
        return FLOAT32 * sum(parameter.numel() for parameter in model.parameters())
    packed = {
        id(module.weight)
        for layer in decoder_layers(model)
        for name, module in layer.named_modules()
        if isinstance(module, nn.Linear) and ".lora_" not in name
    }
    total = 0.0
    for parameter in model.parameters():
        plain = FLOAT32 if parameter.requires_grad else computes.itemsize
        total += parameter.numel() * (FOUR_BITS if id(parameter) in packed else plain)
    return int(total)


def activation_bytes(
    model: PreTrainedModel, tokens: int, computes: torch.dtype, checkpointing: bool, offloaded: bool = False
) -> int:
    """What the backward pass of a row of `tokens` tokens needs, about, beside the logits of `logit_bytes`.

    The residual stream is float32, since weights are; linear layers give `computes`. With checkpointing a layer keeps
    what it reads, in main memory where that is `offloaded`, and one layer at a time is computed again.
    """
    text = model.config.get_text_config()
    layers = list(decoder_layers(model))
    first = next((n for n, layer in enumerate(layers) if any(p.requires_grad for p in layer.parameters())), len(layers))
    inner = {id(parameter) for layer in layers for parameter in layer.parameters()}
    outside = [p for p in model.parameters() if p.requires_grad and id(p) not in inner]
    tower = vision_tower(model)
    tower_trains = tower is not None and any(p.requires_grad for p in tower.parameters())
    head = model.get_output_embeddings()
    norm: Any = decoder(model).norm
    after = {id(p) for p in (*norm.parameters(), *(head.parameters() if head is not None else ()))}
    if any(id(p) not in after for p in outside):  # of the connector, the tower or the embeddings: before all layers
        first = 0
    width = text.hidden_size
    heads = text.num_attention_heads
    keys = (getattr(text, "head_dim", None) or width // heads) * (text.num_key_value_heads or heads)
    inside = _layer_bytes(width, keys, text.intermediate_size, computes.itemsize) * tokens
    kept = FLOAT32 * width * tokens
    count = len(layers) - first
    if offloaded:
        kept = 0
    total = count * kept + (inside if count else 0) if checkpointing else count * inside
    if tower_trains and tower is not None:
        total += _tower_bytes(model, tokens, computes, checkpointing, offloaded)
    return total + logit_bytes(text.vocab_size, tokens)


def logit_bytes(vocabulary: int, tokens: int) -> int:
    """Logits of as many trained tokens as are computed at once, in float32, with what the softmax makes of them and
    their gradient."""
    return 3 * FLOAT32 * min(tokens * vocabulary, CHUNK)


def _layer_bytes(width: int, keys: int, inner: int, item: int) -> int:
    """What a layer of a Llama decoder keeps of a token: two norms (what they read and what they give, in float32), the
    inputs of linear layers, queries, keys and values before and after their rotation, what attention gives; and four
    times the width of the feed-forward layer: gate, its activation, the other branch, their product."""
    return 16 * width + item * (5 * width + 3 * keys + 4 * inner)


def _tower_bytes(
    model: PreTrainedModel, tokens: int, computes: torch.dtype, checkpointing: bool, offloaded: bool
) -> int:
    """The same of a vision tower, for as many patches as tokens would show: an encoder of which each token stands for
    one patch, or for `spatial_merge_size` squared or `scale_factor` squared of them."""
    vision = model.config.vision_config
    merged = getattr(vision, "spatial_merge_size", None) or getattr(model.config, "scale_factor", None) or 1
    depth = getattr(vision, "depth", None) or vision.num_hidden_layers
    patches = tokens * int(merged) ** 2
    inside = _layer_bytes(vision.hidden_size, vision.hidden_size, vision.intermediate_size, computes.itemsize) * patches
    kept = 0 if offloaded else depth * FLOAT32 * vision.hidden_size * patches
    return kept + inside if checkpointing else depth * inside
