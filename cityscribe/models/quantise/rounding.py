"""Rounding to a few bits: symmetric whole numbers and a scale for each group of weights of a row.

A weight is `code * scale`, with codes from -8 to 7 in four bits and from -128 to 127 in eight. Scales are numbers that
bf16 and fp16 both hold, so that a checkpoint of either type, and float32, mean the same weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

LEAST_SCALE = 2.0**-20
"""Of a group of zeros, which any scale would do for."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """How many bits a weight has, and how many weights of a row share a scale."""

    bits: Literal[4, 8]
    group: int | None  # None: all of a row

    @property
    def lowest(self) -> int:
        return -(2 ** (self.bits - 1))

    @property
    def highest(self) -> int:
        return 2 ** (self.bits - 1) - 1

    def width(self, features: int) -> int:
        """How many weights share a scale in rows of so many."""
        return self.group or features

    def __str__(self) -> str:
        return f"{self.bits} bits, a scale for {f'{self.group} weights' if self.group else 'each row'}"


@dataclass(frozen=True, slots=True, eq=False)
class Rounded:
    """The rounded weight of a linear layer."""

    codes: Tensor  # [out, in] int8
    scales: Tensor  # [out, groups] float32, numbers of bf16 and fp16

    def weight(self) -> Tensor:
        """What it stands for, [out, in] float32."""
        return decoded(self.codes, self.scales)


def decoded(codes: Tensor, scales: Tensor) -> Tensor:
    """`code * scale`, [out, in] in the type of the scales [out, groups]."""
    rows, groups = scales.shape
    return (codes.to(scales.dtype).view(rows, groups, -1) * scales[:, :, None]).view(rows, -1)


def short_number(scales: Tensor) -> Tensor:
    """The nearest numbers that bf16 and fp16 both hold, float32."""
    return scales.to(torch.bfloat16).to(torch.float16).to(torch.float32)


def round_weight(weight: Tensor, scheme: Scheme, limit: Tensor | None = None) -> Rounded:
    """Round a weight [out, in] to the nearest codes.

    The largest magnitude of a group, or `limit` [out, groups] where that is less, lies half a step beyond the highest
    code, in the middle between the ends of the grid.
    """
    grouped = weight.float().view(len(weight), -1, scheme.width(weight.shape[1]))
    most = grouped.abs().amax(dim=2)
    if limit is not None:
        most = torch.minimum(most, limit)
    scales = short_number((most / (scheme.highest + 0.5)).clamp(min=LEAST_SCALE))
    codes = (grouped / scales[:, :, None]).round().clamp(scheme.lowest, scheme.highest)
    return Rounded(codes.to(torch.int8).view_as(weight), scales)


def rounded_weight(weight: Tensor, scheme: Scheme, limit: Tensor | None = None) -> Tensor:
    """What a weight [out, in] is rounded to, float32."""
    return round_weight(weight, scheme, limit).weight()
