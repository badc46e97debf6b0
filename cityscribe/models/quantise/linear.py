"""A linear layer that computes with packed weights.

Two ways. `exact` unpacks the weight whenever it is needed, and gives what the unpacked model gives, bit for bit; only
memory falls. `kernel` hands packed weights to torch's own products (`_weight_int4pack_mm` and its kin), which read a
quarter or half of the bytes: memory and time fall, and inputs are rounded to bf16, in which these products compute.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from cityscribe.models.quantise.rounding import Scheme, decoded
from cityscribe.models.quantise.words import unpacked

PackedMode = Literal["exact", "kernel"]

KERNEL_GROUPS = (32, 64, 128, 256)
"""Weights to a scale that the products with four bits take."""

INNER_TILES = 8
"""How the CUDA product lays out its weights, in tiles of 16 along a row."""


class PackedLinear(nn.Module):
    """A linear layer whose weight is held in words, [out, in * bits / 32] int32, with scales [out, groups]."""

    weight_scale: Tensor
    weight_packed: Tensor

    def __init__(self, in_features: int, out_features: int, bias: bool, scheme: Scheme, dtype: torch.dtype) -> None:
        super().__init__()
        self.in_features, self.out_features, self.scheme = in_features, out_features, scheme
        words, groups = in_features * scheme.bits // 32, in_features // scheme.width(in_features)
        self.weight_packed = _fixed(torch.empty(out_features, words, dtype=torch.int32))
        self.weight_scale = _fixed(torch.empty(out_features, groups, dtype=dtype))
        self.weight_shape = _fixed(torch.empty(2, dtype=torch.int64))
        self.bias = nn.Parameter(torch.empty(out_features, dtype=dtype)) if bias else None
        self.mode: PackedMode = "exact"

    def codes(self) -> Tensor:
        """[out, in] int8."""
        if self.mode != "exact":
            raise ValueError("the words were laid out anew for the kernel")
        return unpacked(self.weight_packed, self.scheme)

    def unpacked_weight(self, dtype: torch.dtype) -> Tensor:
        """[out, in]."""
        return decoded(self.codes(), self.weight_scale.to(dtype))

    def forward(self, hidden: Tensor) -> Tensor:  # [..., in] -> [..., out]
        if self.mode == "exact":
            return linear(hidden, self.unpacked_weight(hidden.dtype), self.bias)
        flat = hidden.reshape(-1, self.in_features).to(torch.bfloat16)
        product = self._product(flat).to(hidden.dtype).view(*hidden.shape[:-1], self.out_features)
        return product if self.bias is None else product + self.bias.to(hidden.dtype)

    def use_kernel(self) -> bool:
        """Lay the words out for the product of the device that they are on. Returns whether there is one for their
        shape; without one it stays `exact`."""
        device = self.weight_packed.device.type
        codes, scales = self.codes(), self.weight_scale.to(torch.bfloat16)
        if self.scheme.bits == 8:
            if scales.shape[1] != 1:
                return False
            self.weight_packed, self.weight_scale = _fixed(codes), _fixed(scales[:, 0].contiguous())
            self.mode = "kernel"
            return True
        tiles = self.in_features % (INNER_TILES * 16) == 0 and self.out_features % 8 == 0
        fits = self.out_features % 16 == 0 and self.in_features % 2 == 0 if device == "cpu" else tiles
        if self.scheme.group not in KERNEL_GROUPS or not fits:
            return False
        stored = (codes - self.scheme.lowest).to(torch.int32)
        if device == "cpu":
            words = torch.ops.aten._convert_weight_to_int4pack_for_cpu(stored, 1)
        else:
            pairs = (stored[:, ::2] << 4 | stored[:, 1::2]).to(torch.uint8)
            words = torch.ops.aten._convert_weight_to_int4pack(pairs, INNER_TILES)
        # The products take scale and zero of each group, [groups, out, 2]; a stored 8 is zero by itself.
        zeros = torch.stack([scales, torch.zeros_like(scales)], dim=2).transpose(0, 1).contiguous()
        self.weight_packed, self.weight_scale = _fixed(words), _fixed(zeros)
        self.mode = "kernel"
        return True

    def _product(self, flat: Tensor) -> Tensor:  # [tokens, in] -> [tokens, out] bf16
        if self.scheme.bits == 8:
            return torch.ops.aten._weight_int8pack_mm(flat, self.weight_packed, self.weight_scale)
        if flat.device.type == "cpu":
            product = torch.ops.aten._weight_int4pack_mm_for_cpu
        else:
            product = torch.ops.aten._weight_int4pack_mm
        return product(flat, self.weight_packed, self.scheme.group, self.weight_scale)

    def extra_repr(self) -> str:
        return f"{self.in_features} -> {self.out_features}, {self.scheme}, {self.mode}"


def _fixed(value: Tensor) -> nn.Parameter:
    return nn.Parameter(value, requires_grad=False)
