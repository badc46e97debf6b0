"""Squares of patches averaged, then linear layers: the plainest way to fewer tokens, and hard to beat (DeCo, 2024)."""

from __future__ import annotations

from math import ceil

from torch import Tensor, nn
from torch.nn import functional

from cityscribe.files import InputError
from cityscribe.models.vlm.connectors.mlp import linear_layers


class AveragePooling(nn.Module):
    """A token for each square of `pool` by `pool` patches; at the right and lower border the square is what is left."""

    reads_text = False

    def __init__(
        self,
        width: int,
        text_width: int,
        pool: int = 2,
        layers: int = 2,
        activation: str = "gelu",
        bias: bool = True,
    ) -> None:
        super().__init__()
        if pool < 1:
            raise InputError(f"pool: {pool}; expected one or more")
        self.pool = pool
        self.layers = linear_layers(width, text_width, layers, activation, bias)

    def count(self, grid: tuple[int, int]) -> int:
        return ceil(grid[0] / self.pool) * ceil(grid[1] / self.pool)

    def forward(self, features: Tensor) -> Tensor:
        """[views, rows, columns, width] -> [views, count, text_width]"""
        channels_first = features.permute(0, 3, 1, 2)
        pooled = functional.avg_pool2d(channels_first, self.pool, ceil_mode=True, count_include_pad=False)
        return self.layers(pooled.flatten(2).transpose(1, 2))
