"""Cambrian's spatial vision aggregator (Tong et al. 2024): learnt queries on a grid, each of which looks at its own
window of the map of every tower, several layers deep.

The sizes are the published ones (heads, norms, no biases in attention), so that the weights of Cambrian's connector fit
(`published`). Its layers inside the language model are not here: a tower is computed before that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cityscribe.files import InputError
from cityscribe.models.vlm.towers.of_towers import TowerOfTowers

HEADS = 16


class WindowAttention(nn.Module):
    """Queries [windows, 1, width] that look at the windows of all towers together."""

    def __init__(self, width: int, towers: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise InputError(f"width {width} is no multiple of {heads} heads")
        self.heads = heads
        self.query = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width, bias=False))
        self.keys, self.values = (
            nn.ModuleList(
                [nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width, bias=False)) for _ in range(towers)]
            )
            for _ in range(2)
        )
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, queries: Tensor, windows: Sequence[Tensor]) -> Tensor:
        keys = torch.cat([layer(window) for layer, window in zip(self.keys, windows, strict=True)], dim=1)
        values = torch.cat([layer(window) for layer, window in zip(self.values, windows, strict=True)], dim=1)
        q, k, v = (each.unflatten(2, (self.heads, -1)).transpose(1, 2) for each in (self.query(queries), keys, values))
        return self.output(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class AggregatorLayer(nn.Module):
    """One layer: queries and the mean of the first tower ask the windows, whose patches have learnt positions."""

    def __init__(self, width: int, sides: Sequence[int], heads: int) -> None:
        super().__init__()
        self.context = nn.Linear(width, width, bias=False)
        self.join = nn.Linear(2 * width, width, bias=False)
        self.attention = WindowAttention(width, len(sides), heads)
        self.norm = nn.LayerNorm(width)
        self.output = nn.Sequential(nn.Linear(width, width, bias=False), nn.GELU(), nn.Linear(width, width, bias=False))
        # A window of one patch has no positions.
        self.positions = nn.ParameterDict(
            {str(n): nn.Parameter(torch.randn(side * side, width)) for n, side in enumerate(sides) if side > 1}
        )

    def forward(self, queries: Tensor, context: Tensor, windows: Sequence[Tensor]) -> Tensor:
        """Queries and context [windows, 1, width], windows of each tower [windows, patches, width]."""
        placed = [
            window + self.positions[str(n)] if str(n) in self.positions else window for n, window in enumerate(windows)
        ]
        joined = self.join(torch.cat([queries, self.context(context)], dim=-1))
        return queries + self.output(self.norm(joined + self.attention(joined, placed)))


class Aggregator(nn.Module):
    """Maps of the towers to one of the queries."""

    def __init__(self, widths: Sequence[int], width: int, sides: Sequence[int], layers: int, heads: int) -> None:
        super().__init__()
        self.project = nn.ModuleList(
            [
                nn.Sequential(nn.Linear(each, width), nn.GELU(), nn.Linear(width, width), nn.LayerNorm(width))
                for each in widths
            ]
        )
        self.query = nn.Parameter(torch.randn(width) / width**0.5)
        self.layers = nn.ModuleList([AggregatorLayer(width, sides, heads) for _ in range(layers)])
        self.sides = tuple(sides)

    def forward(self, maps: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """[views, rows, columns, width of each] -> [views, *grid, width]"""
        projected = [layer(each) for layer, each in zip(self.project, maps, strict=True)]
        views, count = len(projected[0]), grid[0] * grid[1]
        windows = [_windows(each, side) for each, side in zip(projected, self.sides, strict=True)]
        context = projected[0].mean(dim=(1, 2))[:, None].expand(-1, count, -1).flatten(0, 1)[:, None]
        queries = self.query.to(context.dtype).expand(views * count, 1, -1)
        for layer in self.layers:
            queries = layer(queries, context, windows)
        return queries[:, 0].unflatten(0, (views, *grid))


class SpatialAggregator(TowerOfTowers):
    """`side`: rows and columns of queries; the grid of each tower is a multiple of it. `width`: of the queries.
    `layers`: how often they look."""

    def __init__(
        self,
        towers: Sequence[Mapping[str, Any]],
        side: int = 24,
        width: int = 1024,
        layers: int = 3,
        heads: int = HEADS,
    ) -> None:
        super().__init__(towers)
        self.grid, self.width = (side, side), width
        for number, tower in enumerate(self.towers):
            if tower.grid[0] != tower.grid[1] or tower.grid[0] % side:
                raise InputError(
                    f"side {side}: the grid of tower {number}, {tower.grid[0]} x {tower.grid[1]}, is no multiple of it"
                )
        sides = [tower.grid[0] // side for tower in self.towers]
        self.merger = Aggregator([tower.width for tower in self.towers], width, sides, layers, heads)

    def forward(self, pixels: Tensor) -> Tensor:
        """[views, 3, *size] -> [views, *grid, width]"""
        return self.merger(self.each(pixels), self.grid)


def _windows(features: Tensor, side: int) -> Tensor:
    """[views, rows, columns, width] -> [views * windows, side * side, width]"""
    cut = features.unflatten(1, (-1, side)).unflatten(3, (-1, side))
    return cut.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(0, 2)
