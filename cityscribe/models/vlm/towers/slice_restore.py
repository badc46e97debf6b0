"""HiRes-LLaVA's SliceRestore adapter (Huang et al. 2024): between layers of the encoder the slices of a picture are put
together to one map, so that what was cut apart is seen whole, and cut again.

The map is looked at in two ways: by a convolution, for what stands at the borders of slices, and by attention over it
in small, for the whole. Both are added by gates that are closed at first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cityscribe.models.vlm.towers.blocks import Blocks, spread
from cityscribe.models.vlm.towers.of_towers import recoloured
from cityscribe.models.vlm.towers.slices import SlicedTower, cut, joined


class Restore(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.far = nn.MultiheadAttention(width, heads, batch_first=True)
        self.gates = nn.Parameter(torch.zeros(2, width))

    def forward(self, features: Tensor, grid: tuple[int, int]) -> Tensor:
        """A map [views, rows, columns, width]; `grid`: rows and columns of it in small"""
        channels_first = features.permute(0, 3, 1, 2)
        near = self.near(channels_first).permute(0, 2, 3, 1)
        small = functional.adaptive_avg_pool2d(channels_first, grid).flatten(2).transpose(1, 2)
        seen = self.far(small, small, small, need_weights=False)[0].transpose(1, 2).unflatten(2, grid)
        far = functional.interpolate(seen, size=tuple(features.shape[1:3]), mode="bilinear", align_corners=False)
        return features + self.gates[0] * near + self.gates[1] * far.permute(0, 2, 3, 1)


class SliceRestore(SlicedTower):
    """`restored`: how often slices are put together, spread over the layers."""

    def __init__(self, towers: Sequence[Mapping[str, Any]], across: int = 2, restored: int = 2, heads: int = 8) -> None:
        super().__init__(towers, across)
        self.width = self.towers[0].width
        self.stops = spread(Blocks(self.towers[0]).count, restored)
        self.merger = nn.ModuleList([Restore(self.width, heads) for _ in range(restored)])

    def forward(self, pixels: Tensor) -> Tensor:
        """[views, 3, *size] -> [views, *grid, width]"""
        (tower,) = self.towers
        blocks = Blocks(tower)
        states = blocks.begin(recoloured(cut(pixels, self.across), self, tower))
        first = 0
        for stop, restore in zip(self.stops, self.merger, strict=True):
            states = blocks.run(states, first, stop)
            own, patches = states[:, : tower.class_tokens], states[:, tower.class_tokens :]
            whole = restore(joined(patches.unflatten(1, tower.grid), self.across), tuple(tower.grid))
            states = torch.cat([own, cut(whole.permute(0, 3, 1, 2), self.across).flatten(2).transpose(1, 2)], dim=1)
            first = stop
        ended = blocks.end(states)[:, tower.class_tokens :]
        return joined(ended.unflatten(1, tower.grid), self.across)
