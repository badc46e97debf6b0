"""Prismatic's connector for two towers (Karamcheti et al. 2024): three linear layers, the first to four times the
features."""

from __future__ import annotations

from torch import Tensor, nn

WIDER = 4


class FusedMlp(nn.Module):
    """`width` of the features of all towers, `text_width` of the decoder."""

    reads_text = False

    def __init__(self, width: int, text_width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, WIDER * width),
            nn.GELU(),
            nn.Linear(WIDER * width, text_width),
            nn.GELU(),
            nn.Linear(text_width, text_width),
        )

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1]

    def forward(self, features: Tensor) -> Tensor:
        """[views, rows, columns, width] -> [views, count, text_width]"""
        return self.layers(features.flatten(1, 2))
