"""The weights of a published LLaMA-VID by their names: what they are called here, and the sizes that they tell.

The tower is EVA-CLIP's in the classes of InstructBLIP, the text decoder InstructBLIP's Q-Former, the decoder a Llama:
transformers has all three, under other names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cityscribe.files import InputError

TOWER, TEXT, OWN = "model.vision_tower.0.model.", "model.connector.text_decoder.model.", "model.connector."
"""Where the parts stand in a model from parts."""

PREFIX = "model."
HEAD_WIDTHS = {"tower": 88, "text decoder": 64}
"""Of the published sizes, 1408 / 16 and 768 / 12: neither file nor configuration says how many heads there are."""

RENAMED: tuple[tuple[str, str], ...] = (
    (r"vision_tower\.vision_tower\.cls_token", TOWER + "embeddings.class_embedding"),
    (r"vision_tower\.vision_tower\.pos_embed", TOWER + "embeddings.position_embedding"),
    (r"vision_tower\.vision_tower\.patch_embed\.proj\.(\w+)", TOWER + r"embeddings.patch_embedding.\1"),
    (r"vision_tower\.vision_tower\.blocks\.(\d+)\.norm(\d)\.(\w+)", TOWER + r"encoder.layers.\1.layer_norm\2.\3"),
    (r"vision_tower\.vision_tower\.blocks\.(\d+)\.(mlp\.fc\d\.\w+)", TOWER + r"encoder.layers.\1.\2"),
    (
        r"vision_tower\.vision_tower\.blocks\.(\d+)\.attn\.proj\.(\w+)",
        TOWER + r"encoder.layers.\1.self_attn.projection.\2",
    ),
    (
        r"vision_tower\.vision_tower\.blocks\.(\d+)\.attn\.qkv\.weight",
        TOWER + r"encoder.layers.\1.self_attn.qkv.weight",
    ),
    (r"vlm_att_encoder\.bert\.embeddings\.LayerNorm\.(\w+)", TEXT + r"embeddings.layernorm.\1"),
    (
        r"vlm_att_encoder\.bert\.(encoder\.layer\.\d+\.(?:cross)?attention)\.self\.(\w+\.\w+)",
        TEXT + r"\1.attention.\2",
    ),
    (r"vlm_att_encoder\.bert\.(.+)", TEXT + r"\1"),
    (r"vlm_att_query", OWN + "text_decoder.queries"),
    (r"vlm_att_ln\.(\w+)", OWN + r"norm.\1"),
    (r"vlm_att_projector\.(\w+)", OWN + r"projector.\1"),
    (r"vlm_att_key_projector\.(\w+)", OWN + r"key_projector.\1"),
    (r"vlm_att_val_projector\.(\w+)", OWN + r"value_projector.\1"),
    (r"mm_projector\.([02]\.\w+)", OWN + r"layers.\1"),
    (r"((?:embed_tokens|layers|norm)\..+)", r"model.language_model.\1"),
)
"""Patterns of names without PREFIX, and what they are called here; the first that fits counts."""

BIASES = re.compile(r"vision_tower\.vision_tower\.blocks\.(\d+)\.attn\.([qv])_bias")
LEFT_OUT = re.compile(r"(.+\.)?(rotary_emb\.inv_freq|embeddings\.position_ids)")
"""Buffers that follow from the sizes."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the shapes of the weights say of the parts."""

    tower: Mapping[str, int]  # of InstructBlipVisionConfig
    text_decoder: Mapping[str, int]  # of InstructBlipQFormerConfig
    queries: int


def renamed(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The weights under the names that they have here, and the names that no LLaMA-VID has."""
    found: dict[str, Tensor] = {}
    unknown: list[str] = []
    biases: dict[str, dict[str, Tensor]] = {}
    for name, value in weights.items():
        short = name.removeprefix(PREFIX)
        if LEFT_OUT.fullmatch(short):
            continue
        if name == "lm_head.weight":
            found[name] = value
        elif (bias := BIASES.fullmatch(short)) is not None:
            biases.setdefault(bias[1], {})[bias[2]] = value
        elif short == name or (target := _target(short)) is None:
            unknown.append(name)
        else:
            found[target] = value
    for layer, parts in biases.items():
        # The keys of this attention have no bias.
        if parts.keys() == {"q", "v"}:
            found[f"{TOWER}encoder.layers.{layer}.self_attn.qkv.bias"] = torch.cat(
                [parts["q"], torch.zeros_like(parts["q"]), parts["v"]]
            )
    return found, unknown


def sizes_of(weights: Mapping[str, Tensor], place: str) -> Sizes:
    """The sizes of tower and text decoder by the shapes of renamed weights. Raises InputError where one is missing."""

    def shape(name: str) -> Sequence[int]:
        if name not in weights:
            raise InputError(f"{place}: has no weight for `{name}`: not a whole LLaMA-VID")
        return list(weights[name].shape)

    width, _, patch, _ = shape(TOWER + "embeddings.patch_embedding.weight")
    positions = shape(TOWER + "embeddings.position_embedding")[1]
    tower = {
        "hidden_size": width,
        "intermediate_size": shape(TOWER + "encoder.layers.0.mlp.fc1.weight")[0],
        "num_hidden_layers": _count(weights, TOWER + "encoder.layers."),
        "num_attention_heads": _heads(width, "tower", place),
        "patch_size": patch,
        "image_size": math.isqrt(positions - 1) * patch,
    }
    vocabulary, hidden = shape(TEXT + "embeddings.word_embeddings.weight")
    text = {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": shape(TEXT + "encoder.layer.0.intermediate.dense.weight")[0],
        "num_hidden_layers": _count(weights, TEXT + "encoder.layer."),
        "num_attention_heads": _heads(hidden, "text decoder", place),
        "max_position_embeddings": shape(TEXT + "embeddings.position_embeddings.weight")[0],
    }
    return Sizes(tower, text, shape(OWN + "text_decoder.queries")[1])


def _target(short: str) -> str | None:
    for pattern, target in RENAMED:
        if (match := re.fullmatch(pattern, short)) is not None:
            return match.expand(target)
    return None


def _count(weights: Mapping[str, Tensor], prefix: str) -> int:
    return len({name[len(prefix) :].partition(".")[0] for name in weights if name.startswith(prefix)})


def _heads(width: int, part: str, place: str) -> int:
    if width % HEAD_WIDTHS[part]:
        raise InputError(f"{place}: its {part} is {width} wide, which is no multiple of {HEAD_WIDTHS[part]}, a head's")
    return width // HEAD_WIDTHS[part]
