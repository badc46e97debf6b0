"""A checkpoint with packed weights, as plain transformers and vLLM load it, and the report beside it.

    write_packed(model, processor, found, out, dtype=torch.bfloat16)

`pack-quantized` of compressed-tensors, written without that package, or AutoAWQ's `gemm`. What was written is read
back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import torch
from safetensors import safe_open
from torch import nn
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError, read_json, write_json
from cityscribe.models.load import load_model, quiet, round_weights, whole_checkpoint
from cityscribe.models.quantise.loading import awq_config, is_ignored, packed_layers, quantization_config
from cityscribe.models.quantise.rounding import Rounded
from cityscribe.models.quantise.search import Searched
from cityscribe.models.quantise.words import awq_tensors, packed_tensors

PackedFormat = Literal["compressed-tensors", "awq"]

REPORT = "quantised.json"
"""The report of a checkpoint with packed weights, in its folder."""


def write_packed(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    found: Searched,
    folder: Path,
    *,
    dtype: torch.dtype,
    form: PackedFormat = "compressed-tensors",
    report: Mapping[str, object] | None = None,
) -> None:
    """Write a model with the rounded weights of a search; everything else is stored in `dtype`, and turned to it.

    The folder appears whole. Raises InputError where it cannot be written, or what was written is not what was found.
    """
    scheme = found.scheme
    if form == "awq" and scheme.bits != 4:
        raise InputError("the format awq knows four bits only; write compressed-tensors")
    scale_type = dtype if dtype in (torch.bfloat16, torch.float16) else torch.bfloat16
    round_weights(model, dtype)
    tensors = dict(model.state_dict())
    for name, rounded in found.rounded.items():
        del tensors[f"{name}.weight"]
        own = awq_tensors(rounded, scheme) if form == "awq" else packed_tensors(rounded, scheme, scale_type)
        tensors |= {f"{name}.{end}": value for end, value in own.items()}
    ignored = patterns_of_ignored(model, found.rounded)
    with whole_checkpoint(folder) as partial:
        with quiet():
            model.save_pretrained(partial, state_dict=tensors)
        processor.save_pretrained(partial)
        described = awq_config(scheme, ignored) if form == "awq" else quantization_config(scheme, ignored)
        write_json(partial / "config.json", {**read_json(partial / "config.json"), "quantization_config": described})
        if report is not None:
            sizes = {**bytes_of(partial), "packed before": _bytes_before(found, dtype)}
            write_json(partial / REPORT, {**report, "form": form, "bytes": sizes})
        if form == "compressed-tensors":
            check_written(partial, folder, model, found.rounded)


def check_written(written: Path, folder: Path, model: PreTrainedModel, rounded: Mapping[str, Rounded]) -> None:
    """Read a written checkpoint back. Raises InputError, naming `folder`, for a tensor that is not what was found."""
    again = load_model(written, dtype=next(model.parameters()).dtype)
    layers = packed_layers(again)
    differing = sorted(layers.keys() ^ rounded.keys())
    differing += [
        name
        for name, layer in layers.items()
        if name in rounded
        and not (
            torch.equal(layer.codes(), rounded[name].codes)
            and torch.equal(layer.weight_scale.float(), rounded[name].scales)
        )
    ]
    found = again.state_dict()
    for name, value in model.state_dict().items():
        if name.removesuffix(".weight") not in rounded and not torch.equal(found[name].to(value), value):
            differing.append(name)
    if differing:
        raise InputError(f"{folder}: what was saved is not the model: `{differing[0]}` ({len(differing)} differences)")


def patterns_of_ignored(model: nn.Module, rounded: Iterable[str]) -> list[str]:
    """Patterns of the linear layers that stay as they are.

    By a part of their names that no packed layer has, such as `vision_tower`: the rest of a name is not the same in all
    versions of transformers and in vLLM.
    """
    packed = list(rounded)
    inside = {part for name in packed for part in name.split(".")}
    patterns = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and name not in packed:
            part = next((part for part in name.split(".") if part not in inside), None)
            patterns.append(f"re:{re.escape(name)}$" if part is None else f"re:.*{re.escape(part)}.*")
    found = list(dict.fromkeys(patterns))
    if wrong := [name for name in packed if is_ignored(name, found)]:
        raise InputError(f"`{wrong[0]}`: cannot be told from the layers that stay as they are by its name")
    return found


def bytes_of(folder: Path) -> dict[str, int]:
    """The bytes of the weights of a checkpoint: all, and those of packed layers."""
    sizes = {"all": 0, "packed": 0}
    ends = ("weight_packed", "weight_scale", "weight_shape", "qweight", "qzeros", "scales")
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118, it is no dict
                size = tensors.get_tensor(name).nbytes
                sizes["all"] += size
                sizes["packed"] += size if name.endswith(ends) else 0
    return sizes


def _bytes_before(found: Searched, dtype: torch.dtype) -> int:
    """What the packed weights took before, in the type of the checkpoint."""
    return sum(rounded.codes.numel() for rounded in found.rounded.values()) * dtype.itemsize


def unpack(model: PreTrainedModel) -> PreTrainedModel:
    """The model with plain linear layers in the place of packed ones, in the type of their scales."""
    for name, layer in packed_layers(model).items():
        plain = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None)
        plain.weight.data = layer.unpacked_weight(layer.weight_scale.dtype)
        if layer.bias is not None:
            plain.bias.data = layer.bias.data
        model.set_submodule(name, plain.requires_grad_(False))
    return model
