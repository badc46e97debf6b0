"""InternVL's connector (Chen et al. 2024): squares of patches become one long feature each, a norm, two linear
layers."""

from __future__ import annotations

from torch import Tensor, nn
from transformers.activations import ACT2FN

from cityscribe.files import InputError


class PixelShuffle(nn.Module):
    """A token for each square of `side` by `side` patches."""

    reads_text = False

    def __init__(self, width: int, text_width: int, side: int = 2, activation: str = "gelu") -> None:
        super().__init__()
        if side < 1:
            raise InputError(f"side: {side}; expected one or more")
        if activation not in ACT2FN:
            raise InputError(f"activation: transformers has no `{activation}`")
        self.side = side
        self.norm = nn.LayerNorm(width * side * side)
        self.layers = nn.Sequential(
            nn.Linear(width * side * side, text_width), ACT2FN[activation], nn.Linear(text_width, text_width)
        )

    def count(self, grid: tuple[int, int]) -> int:
        if grid[0] % self.side or grid[1] % self.side:
            raise InputError(f"side: {self.side}; does not divide a grid of {grid[0]} x {grid[1]}")
        return (grid[0] // self.side) * (grid[1] // self.side)

    def forward(self, features: Tensor) -> Tensor:
        """[views, rows, columns, width] -> [views, count, text_width]"""
        squares = features.unflatten(1, (-1, self.side)).unflatten(3, (-1, self.side))
        return self.layers(self.norm(squares.permute(0, 1, 3, 2, 4, 5).flatten(3).flatten(1, 2)))
