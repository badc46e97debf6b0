"""MERV (Chung et al. 2025): features of several towers on one grid and of one width, weighed by a learnt query.

Each tower is averaged to the grid and projected; the query compares itself with the mean of each, and the softmax of
that says how much of each tower there is in the sum. The paper does so for videos; here for each picture of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cityscribe.models.vlm.towers.of_towers import TowerOfTowers, regridded


class WeighedSum(nn.Module):
    """Maps of several widths to a sum of one, weighed picture by picture."""

    def __init__(self, widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.project = nn.ModuleList([nn.Linear(each, width) for each in widths])
        self.query = nn.Parameter(torch.randn(width) / width**0.5)
        self.key = nn.Linear(width, width)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """[views, rows, columns, width of each] -> [views, rows, columns, width]"""
        projected = torch.stack([project(each) for project, each in zip(self.project, maps, strict=True)], dim=1)
        return (projected * self.weights(projected)[..., None, None, None]).sum(dim=1)

    def weights(self, projected: Tensor) -> Tensor:
        """The share of each tower [views, towers] in the sum of maps [views, towers, rows, columns, width]."""
        keys = self.key(projected.mean(dim=(2, 3)))
        shares: Tensor = (keys @ self.query / len(self.query) ** 0.5).softmax(dim=-1)
        return shares


class Merv(TowerOfTowers):
    """`side`: rows and columns of the common grid, 8 in the paper. `width`: of the sum; that of the first tower."""

    def __init__(self, towers: Sequence[Mapping[str, Any]], side: int | None = None, width: int | None = None) -> None:
        super().__init__(towers)
        self.grid = (side, side) if side else tuple(self.towers[0].grid)
        self.width = width or self.towers[0].width
        self.merger = WeighedSum([tower.width for tower in self.towers], self.width)

    def forward(self, pixels: Tensor) -> Tensor:
        """[views, 3, *size] -> [views, *grid, width]"""
        return self.merger([regridded(features, self.grid) for features in self.each(pixels)])
