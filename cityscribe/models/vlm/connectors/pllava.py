"""PLLaVA (Xu et al. 2024): frames are projected as LLaVA projects an image, then averaged over time and space.

It adds no weight, so that a tuned LLaVA is one for videos without any training. `over_frames.norms` is its diagnostic.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from cityscribe.models.vlm.connectors.mlp import linear_layers
from cityscribe.models.vlm.connectors.over_frames import checked_shape, pooled


class Pllava(nn.Module):
    """`shape` is how many frames, rows and columns are left; 16, 12 and 12 in the paper."""

    reads_text = False
    joins_views = True

    def __init__(
        self,
        width: int,
        text_width: int,
        shape: Sequence[int] = (16, 12, 12),
        layers: int = 2,
        activation: str = "gelu",
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.shape = checked_shape(shape)
        self.layers = linear_layers(width, text_width, layers, activation, bias)

    def count(self, grid: tuple[int, int]) -> int:
        return self.shape[0] * self.shape[1] * self.shape[2]

    def forward(self, features: Tensor) -> Tensor:
        """[frames, rows, columns, width] -> [count, text_width], frame after frame, row by row"""
        return pooled(self.layers(features), self.shape).flatten(0, 2)
