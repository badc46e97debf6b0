"""MG-LLaVA's fusion (Zhao et al. 2024): a gate says, patch by patch, how much of a high-resolution map is added to the
low-resolution one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cityscribe.files import InputError
from cityscribe.models.vlm.towers.of_towers import TowerOfTowers, regridded


class ConvGate(nn.Module):
    """Two convolutions that bring the maps to one width, and a gate that has read both."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__()
        self.low = nn.Conv2d(low, low, 1)
        self.high = nn.Conv2d(high, low, 1)
        self.gate = nn.Sequential(nn.Conv2d(2 * low, low, 1), nn.GELU(), nn.Conv2d(low, 1, 1), nn.Sigmoid())

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """[views, rows, columns, width] of both -> the same of the low one"""
        below, above = self.low(low.permute(0, 3, 1, 2)), self.high(high.permute(0, 3, 1, 2))
        share = self.gate(torch.cat([below, above], dim=1))
        return low + (share * above).permute(0, 2, 3, 1)


class GatedPair(TowerOfTowers):
    """Two towers: the first for the picture in low resolution, whose grid and width stay, and one for high."""

    def __init__(self, towers: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(towers)
        if len(self.towers) != 2:
            raise InputError(f"towers: {len(self.towers)}; expected two, for low and for high resolution")
        low, high = self.towers
        self.grid, self.width = tuple(low.grid), low.width
        self.merger = ConvGate(low.width, high.width)

    def forward(self, pixels: Tensor) -> Tensor:
        """[views, 3, *size] -> [views, *grid, width]"""
        low, high = self.each(pixels)
        return self.merger(low, regridded(high, self.grid))
