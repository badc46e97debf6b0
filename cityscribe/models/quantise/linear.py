"""A linear layer that computes with packed weights.

Two ways. `exact` unpacks the weight whenever it is needed, and gives what the unpacked model gives, bit for bit; only
memory falls. `kernel` hands packed weights to torch's own products (`_weight_int4pack_mm` and its kin), which read a
quarter or half of the bytes: memory and time fall, and inputs are rounded to bf16, in which these products compute.
They are made for a few tokens; for more than `MANY` the weight is unpacked and computed with as it is.
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

MANY = 96
"""Tokens from which unpacking the weight and a plain product take less time than the product with packed weights. On a
CPU with AVX2 the two meet between 64 and 256, for four bits and for eight."""

BLOCKS = (64, 32)
"""Rows that lie together in the layout of the CPU product, with AVX-512 and with AVX2."""

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
        self.block: int | None = None  # rows of a block in the CPU product's layout, where it is known

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
        flat = hidden.reshape(-1, self.in_features)
        if len(flat) > MANY and (self.scheme.bits == 8 or self.block is not None):
            product = flat @ self._unpacked_columns(hidden.dtype)
        else:
            product = self._product(flat.to(torch.bfloat16)).to(hidden.dtype)
        product = product.view(*hidden.shape[:-1], self.out_features)
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
            fitting = (size for size in BLOCKS if self.out_features % size == 0)
            self.block = next((n for n in fitting if torch.equal(columns_of(words, n), stored.t())), None)
        else:
            pairs = (stored[:, ::2] << 4 | stored[:, 1::2]).to(torch.uint8)
            words = torch.ops.aten._convert_weight_to_int4pack(pairs, INNER_TILES)
        # The products take scale and zero of each group, [groups, out, 2]; a stored 8 is zero by itself.
        zeros = torch.stack([scales, torch.zeros_like(scales)], dim=2).transpose(0, 1).contiguous()
        self.weight_packed, self.weight_scale = _fixed(words), _fixed(zeros)
        self.mode = "kernel"
        return True

    def _unpacked_columns(self, dtype: torch.dtype) -> Tensor:
        """The weight from the layout of the kernel, [in, out]."""
        if self.scheme.bits == 8:
            return self.weight_packed.t().to(dtype) * self.weight_scale.to(dtype)
        assert self.block is not None
        codes = columns_of(self.weight_packed, self.block).view(torch.int8) + self.scheme.lowest
        scales = self.weight_scale[:, None, :, 0].to(dtype)  # [groups, 1, out]
        return (codes.to(dtype).view(len(scales), -1, self.out_features) * scales).view(self.in_features, -1)

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


def columns_of(words: Tensor, block: int) -> Tensor:
    """The stored codes [in, out] uint8 in the layout of the CPU product with four bits: blocks of rows, in each of them
    column by column, a byte for rows n and n + block / 2."""
    rows, half = words.shape
    stored = words.view(rows // block, 2 * half, block // 2)
    both = torch.cat([stored & 15, stored >> 4], dim=2)  # [blocks, in, block]
    return both.transpose(0, 1).reshape(2 * half, rows)


def _fixed(value: Tensor) -> nn.Parameter:
    return nn.Parameter(value, requires_grad=False)
