"""Published checkpoints whose names are those of their own programs, put into a model that is built of the same parts.

    convert("prismatic", Path("dinosiglip/checkpoints"), "models/parts", Path("models/prismatic"))

Sizes come from the model that is named, weights from the checkpoint; each name and each shape is checked. What the
checkpoint does not hold (towers that were never trained) stays as it is in that model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cityscribe.files import InputError
from cityscribe.models.load import load_model, load_processor, save_model

DECODER = r"model\.((?:embed_tokens|layers|norm)\..+)"
FUSED = "model.vision_tower.0.merger."
SAMPLER = r"(?:model\.)?vision_sampler_0\.layers\.(\d+)\."


@dataclass(frozen=True, slots=True)
class PublishedNames:
    """How a program names its weights: patterns, and what they are called here; the first that fits counts."""

    about: str
    names: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...] = ()  # patterns of what is computed anew


LAYOUTS: dict[str, PublishedNames] = {
    "llava": PublishedNames(
        "LLaVA-1.5 and LLaVA-NeXT as haotian-liu/LLaVA writes them",
        (
            (r"(?:model\.)?mm_projector\.0\.(\w+)", r"model.multi_modal_projector.linear_1.\1"),
            (r"(?:model\.)?mm_projector\.2\.(\w+)", r"model.multi_modal_projector.linear_2.\1"),
            (r"model\.image_newline", "model.image_newline"),
            (r"model\.vision_tower\.vision_tower\.(?:vision_model\.)?(.+)", r"model.vision_tower.\1"),
            (DECODER, r"model.language_model.\1"),
            (r"lm_head\.weight", "lm_head.weight"),
        ),
        (r".+\.rotary_emb\.inv_freq", r".+\.embeddings\.position_ids"),
    ),
    "prismatic": PublishedNames(
        "Prismatic with two towers, as TRI-ML/prismatic-vlms writes it",
        (
            (r"projector\.projector\.(\d\.\w+)", r"model.connector.layers.\1"),
            (r"vision_backbone\.dino_featurizer\.(.+)", r"model.vision_tower.0.model.timm_model.\1"),
            (r"vision_backbone\.siglip_featurizer\.(.+)", r"model.vision_tower.1.model.timm_model.\1"),
            (r"llm_backbone\.llm\." + DECODER, r"model.language_model.\1"),
            (r"llm_backbone\.llm\.lm_head\.weight", "lm_head.weight"),
        ),
        (r".+\.rotary_emb\.inv_freq",),
    ),
    "cambrian": PublishedNames(
        "Cambrian's connector, as cambrian-mllm/cambrian writes it",
        (
            (r"(?:model\.)?mm_projector_aux_(\d)\.(\d\.\w+)", FUSED + r"project.\1.\2"),
            (r"(?:model\.)?vision_query", FUSED + "query"),
            (SAMPLER + r"proj_context\.weight", FUSED + r"layers.\1.context.weight"),
            (SAMPLER + r"proj_in\.weight", FUSED + r"layers.\1.join.weight"),
            (SAMPLER + r"proj_out\.linear_1\.weight", FUSED + r"layers.\1.output.0.weight"),
            (SAMPLER + r"proj_out\.linear_2\.weight", FUSED + r"layers.\1.output.2.weight"),
            (SAMPLER + r"norm\.(\w+)", FUSED + r"layers.\1.norm.\2"),
            (SAMPLER + r"pos_embed_(\d)", FUSED + r"layers.\1.positions.\2"),
            (SAMPLER + r"cross_attn\.q_proj\.(\d\.\w+)", FUSED + r"layers.\1.attention.query.\2"),
            (SAMPLER + r"cross_attn\.k_proj_(\d)\.(\d\.\w+)", FUSED + r"layers.\1.attention.keys.\2.\3"),
            (SAMPLER + r"cross_attn\.v_proj_(\d)\.(\d\.\w+)", FUSED + r"layers.\1.attention.values.\2.\3"),
            (SAMPLER + r"cross_attn\.o_proj\.weight", FUSED + r"layers.\1.attention.output.weight"),
            (r"(?:model\.)?mm_projector\.(\d\.\w+)", r"model.connector.layers.\1"),
            (r"(?:model\.)?image_newline", "model.connector.row_mark"),
        ),
    ),
}


def convert(kind: str, folder: Path, onto: str, out: Path) -> list[str]:
    """Write `out`: the model `onto` with the weights of a published folder. Returns what there is to say about it.

    Raises InputError for an unknown kind, a file that cannot be read, a name that the layout has not, one that has no
    place in the model, and another shape.
    """
    if kind not in LAYOUTS:
        raise InputError(f"{kind}: no such kind of checkpoint; expected one of {', '.join(LAYOUTS)}")
    if not onto:
        raise InputError(f"{kind}: name the model that the weights go onto, built of the same parts (--onto)")
    found = renamed(LAYOUTS[kind], dict(_weights(folder)), folder)
    model: Any = load_model(onto, dtype=torch.float32)
    expected = model.state_dict()
    for name, value in found.items():
        if name not in expected:
            raise InputError(f"{folder}: `{name}` has no place in {onto}; it is built of other parts")
        wanted = expected[name].shape
        if value.shape != wanted and value.shape == (1, *wanted):
            found[name] = value[0]
        elif value.shape != wanted:
            raise InputError(f"{folder}: `{name}` is of shape {list(value.shape)}, in {onto} {list(wanted)}")
    model.load_state_dict({name: value.float() for name, value in found.items()}, strict=False)
    save_model(model, load_processor(onto), out)
    kept = len(expected) - len(found)
    return [f"{len(found)} weights of {LAYOUTS[kind].about}; {kept} stay as they are in {onto}"]


def renamed(layout: PublishedNames, weights: Mapping[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """Weights under the names that they have here. Raises InputError for a name that the layout has not."""
    found: dict[str, Tensor] = {}
    for name, value in weights.items():
        if any(re.fullmatch(pattern, name) for pattern in layout.left_out):
            continue
        for pattern, ours in layout.names:
            if (match := re.fullmatch(pattern, name)) is not None:
                found[match.expand(ours)] = value
                break
        else:
            raise InputError(f"{folder}: `{name}` is no name of {layout.about}")
    if not found:
        raise InputError(f"{folder}: holds no weights of {layout.about}")
    return found


def _weights(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Every weight in the files of a folder, by name; those that lie in dicts of dicts with dots between."""
    files = [file for ending in ("*.safetensors", "*.bin", "*.pt") for file in sorted(folder.rglob(ending))]
    if not files:
        raise InputError(f"{folder}: has no *.safetensors, *.bin or *.pt")
    for file in files:
        try:
            if file.suffix == ".safetensors":
                yield from load_file(file).items()
                continue
            held = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
            raise InputError(f"{file}: not a file of weights: {' '.join(str(error).split())[:200]}") from error
        except Exception as error:  # somebody's pickle
            raise InputError(f"{file}: wants to run code, which is never done") from error
        inner = held.get("model", held) if isinstance(held, dict) else held
        yield from _flat(inner, "", file)


def _flat(held: Any, prefix: str, file: Path) -> Iterator[tuple[str, Tensor]]:
    if isinstance(held, Tensor):
        yield prefix, held
    elif isinstance(held, Mapping):
        for name, value in held.items():
            yield from _flat(value, f"{prefix}.{name}" if prefix else str(name), file)
    else:
        raise InputError(f"{file}: `{prefix}` is a {type(held).__name__}; expected weights by name")
