"""Towers side by side on the grid of the first, whatever their own grids are (Prismatic's DINOv2 and SigLIP).

Towers that have one grid need not stand in this one: a model takes several, each with pictures of its own resizing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from cityscribe.models.vlm.towers.of_towers import TowerOfTowers, regridded


class SideBySide(TowerOfTowers):
    def __init__(self, towers: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(towers)
        self.grid = tuple(self.towers[0].grid)
        self.width = sum(tower.width for tower in self.towers)

    def forward(self, pixels: Tensor) -> Tensor:
        """[views, 3, *size] -> [views, *grid, width]"""
        return torch.cat([regridded(features, self.grid) for features in self.each(pixels)], dim=-1)
