"""INF-LLaVA (Ma et al. 2024): the picture is cut in two ways. Local slices show a part of it in full; global ones show
all of it, each another subset of its points (every second one, say). Each map looks at the other before they are added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cityscribe.models.vlm.towers.of_towers import recoloured
from cityscribe.models.vlm.towers.slices import SlicedTower, cut, joined


class DualEnhancement(nn.Module):
    """Each map sees the other one in its own place and around it, and both are added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2)])
        self.looks = nn.ModuleList([nn.MultiheadAttention(width, heads, batch_first=True) for _ in range(2)])
        self.output = nn.Linear(2 * width, width)

    def forward(self, near: Tensor, far: Tensor, across: int) -> Tensor:
        """Both [views, rows, columns, width], and so is what comes out. Attention stays within a slice."""
        maps = [near, far]
        normed = [norm(each) for norm, each in zip(self.norms, maps, strict=True)]
        cells = [cut(each.permute(0, 3, 1, 2), across).flatten(2).transpose(1, 2) for each in normed]
        seen = []
        for number, look in enumerate(self.looks):
            own, other = cells[number], cells[1 - number]
            found = look(own, other, other, need_weights=False)[0]
            grid = (near.shape[1] // across, near.shape[2] // across)
            seen.append(maps[number] + joined(found.unflatten(1, grid), across))
        return near + self.output(torch.cat(seen, dim=-1))


class DualPerspective(SlicedTower):
    def __init__(self, towers: Sequence[Mapping[str, Any]], across: int = 2, heads: int = 8) -> None:
        super().__init__(towers, across)
        self.width = self.towers[0].width
        self.merger = DualEnhancement(self.width, heads)

    def forward(self, pixels: Tensor) -> Tensor:
        """[views, 3, *size] -> [views, *grid, width]"""
        (tower,) = self.towers
        shown = recoloured(pixels, self, tower)
        near = joined(tower(cut(shown, self.across)), self.across)
        far = interleaved(tower(strided(shown, self.across)), self.across)
        return self.merger(near, far, self.across)


def strided(pixels: Tensor, across: int) -> Tensor:
    """[views, channels, height, width] -> [views * across * across, channels, height / across, width / across]: each
    has every `across`-th row and column, from another one on"""
    split = pixels.unflatten(2, (-1, across)).unflatten(4, (-1, across))
    return split.permute(0, 3, 5, 1, 2, 4).flatten(0, 2)


def interleaved(features: Tensor, across: int) -> Tensor:
    """What strided pictures became, [views * across * across, rows, columns, width], each patch beside those of the
    other pictures that show the same place: [views, across * rows, across * columns, width]"""
    split = features.unflatten(0, (-1, across, across))
    return split.permute(0, 3, 1, 4, 2, 5).flatten(3, 4).flatten(1, 2)
