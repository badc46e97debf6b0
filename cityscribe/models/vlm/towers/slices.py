"""A picture larger than a tower reads, as slices that are computed apart and put together again on one grid.

`Slices` does that alone, with the picture as a whole beside it: LLaVA-1.5-HD (Liu et al. 2023), and S2 with one scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from cityscribe.files import InputError
from cityscribe.models.vlm.towers.of_towers import TowerOfTowers, recoloured, regridded, resized


class SlicedTower(TowerOfTowers):
    """`towers`: the one tower; `across`: slices along each side. The picture is `across` times as large as the tower's,
    and so is the grid."""

    def __init__(self, towers: Sequence[Mapping[str, Any]], across: int = 2) -> None:
        super().__init__(towers)
        if len(self.towers) != 1 or across < 1:
            raise InputError(f"towers: {len(self.towers)}, across: {across}; expected one tower, one slice or more")
        (tower,) = self.towers
        self.across = across
        self.size = tuple(side * across for side in tower.size)
        self.grid = tuple(side * across for side in tower.grid)

    def whole(self, pixels: Tensor) -> Tensor:
        """The picture as a whole, as the tower sees it: [views, *grid of the tower, width]"""
        (tower,) = self.towers
        features: Tensor = tower(recoloured(resized(pixels, tower.size), self, tower))
        return features


class Slices(SlicedTower):
    """With `overview` the features of the picture as a whole stand beside those of its slices."""

    def __init__(self, towers: Sequence[Mapping[str, Any]], across: int = 2, overview: bool = True) -> None:
        super().__init__(towers, across)
        self.overview = overview
        self.width = self.towers[0].width * (1 + overview)

    def forward(self, pixels: Tensor) -> Tensor:
        """[views, 3, *size] -> [views, *grid, width]"""
        (tower,) = self.towers
        near = joined(tower(recoloured(cut(pixels, self.across), self, tower)), self.across)
        return torch.cat([regridded(self.whole(pixels), self.grid), near], dim=-1) if self.overview else near


def cut(pixels: Tensor, across: int) -> Tensor:
    """[views, channels, height, width] -> [views * across * across, channels, height / across, width / across], row by
    row"""
    split = pixels.unflatten(2, (across, -1)).unflatten(4, (across, -1))
    return split.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


def joined(features: Tensor, across: int) -> Tensor:
    """What slices became, [views * across * across, rows, columns, width], on one grid
    [views, across * rows, across * columns, width]"""
    split = features.unflatten(0, (-1, across, across))
    return split.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)
