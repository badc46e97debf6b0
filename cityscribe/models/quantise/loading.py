"""Checkpoints with packed weights, read without unpacking them.

    scheme = packed_scheme(config)     what a checkpoint of the form `pack-quantized` holds; None for any other
    keep_packed(config, scheme)        from_pretrained(..., config=config) then builds `PackedLinear` layers
    use_kernels(model)                 these compute by torch's products with packed weights, where those fit

transformers reads the same folders through the package compressed-tensors, and unpacks them at the first forward pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.quantizers import HfQuantizer
from transformers.quantizers.auto import register_quantization_config, register_quantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from cityscribe.models.quantise.linear import PackedLinear
from cityscribe.models.quantise.rounding import Scheme

FORMAT = "pack-quantized"
METHOD = "cityscribe-packed"
"""The name of our way to read such checkpoints, in transformers' list of ways."""


def quantization_config(scheme: Scheme, ignored: Sequence[str]) -> dict[str, Any]:
    """What config.json says of packed weights. `ignored` are the linear layers that are not: names, or `re:` and a
    pattern."""
    weights = {
        "num_bits": scheme.bits,
        "type": "int",
        "symmetric": True,
        "strategy": "group" if scheme.group else "channel",
        "group_size": scheme.group,
        "dynamic": False,
        "actorder": None,
        "observer": "minmax",
    }
    group = {"targets": ["Linear"], "weights": weights, "input_activations": None, "output_activations": None}
    return {
        "quant_method": "compressed-tensors",
        "format": FORMAT,
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": list(ignored),
        "kv_cache_scheme": None,
        "global_compression_ratio": None,
    }


def awq_config(scheme: Scheme, ignored: Iterable[str]) -> dict[str, Any]:
    """What config.json says of weights in the form of AutoAWQ's `gemm`."""
    return {
        "quant_method": "awq",
        "bits": 4,
        "group_size": scheme.group,
        "zero_point": True,
        "version": "gemm",
        "modules_to_not_convert": [entry.removeprefix("re:").replace(".*", "") for entry in ignored],
    }


def packed_scheme(config: PreTrainedConfig) -> Scheme | None:
    """The scheme of a checkpoint that `PackedLinear` can hold; None where there is none, or transformers has to read
    it."""
    described = vars(config).get("quantization_config")
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        return None
    groups = described.get("config_groups")
    if not isinstance(groups, dict) or len(groups) != 1:
        return None
    (group,) = groups.values()
    weights = group.get("weights") if isinstance(group, dict) and group.get("targets") == ["Linear"] else None
    if not isinstance(weights, dict) or group.get("input_activations") or weights.get("actorder"):
        return None
    if weights.get("type") != "int" or not weights.get("symmetric") or weights.get("num_bits") not in (4, 8):
        return None
    if weights.get("strategy") == "channel":
        return Scheme(weights["num_bits"], None)
    size = weights.get("group_size")
    return Scheme(weights["num_bits"], size) if weights.get("strategy") == "group" and isinstance(size, int) else None


def keep_packed(config: PreTrainedConfig, scheme: Scheme) -> None:
    """Let `from_pretrained` with this configuration build layers that hold their weights packed."""
    ignored = vars(config)["quantization_config"].get("ignore") or []
    vars(config)["quantization_config"] = {
        "quant_method": METHOD,
        "bits": scheme.bits,
        "group": scheme.group,
        "ignored": list(ignored),
    }


def packed_layers(model: nn.Module) -> dict[str, PackedLinear]:
    """The layers of a model with packed weights, by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, PackedLinear)}


def is_packed(model: nn.Module) -> bool:
    return any(isinstance(module, PackedLinear) for module in model.modules())


def use_kernels(model: nn.Module) -> list[str]:
    """Let packed layers compute by torch's products. Returns the names of those whose shapes these do not take."""
    return [name for name, layer in packed_layers(model).items() if not layer.use_kernel()]


def is_ignored(name: str, ignored: Sequence[str]) -> bool:
    """Whether the linear layer of this name is one of those that stay as they are."""
    return any(
        re.match(entry.removeprefix("re:"), name) is not None if entry.startswith("re:") else entry == name
        for entry in ignored
    )


@register_quantization_config(METHOD)
class PackedConfig(QuantizationConfigMixin):
    """What `keep_packed` writes into a configuration, as transformers takes it."""

    def __init__(self, bits: int, group: int | None, ignored: Sequence[str], **_: Any) -> None:
        self.quant_method = METHOD  # type: ignore[assignment]
        self.bits, self.group, self.ignored = bits, group, list(ignored)


@register_quantizer(METHOD)
class PackedQuantizer(HfQuantizer):
    """Puts `PackedLinear` in the place of linear layers, before transformers reads the weights into them."""

    requires_calibration = True

    def _process_model_before_weight_loading(self, model: PreTrainedModel, **_: Any) -> None:
        config: Any = self.quantization_config
        scheme = Scheme(config.bits, config.group)
        linears = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
        for name, linear in linears:
            if is_ignored(name, config.ignored):
                continue
            with torch.device(linear.weight.device):
                packed = PackedLinear(
                    linear.in_features, linear.out_features, linear.bias is not None, scheme, linear.weight.dtype
                )
            model.set_submodule(name, packed)

    def is_serializable(self) -> bool:
        return False

    @property
    def is_trainable(self) -> bool:
        return False
