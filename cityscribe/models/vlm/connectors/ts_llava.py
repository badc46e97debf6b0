"""TS-LLaVA (Qu et al. 2024): a thumbnail of few frames whole, and tokens sampled evenly from all frames.

It adds no weight, so that a tuned LLaVA is one for videos without any training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cityscribe.files import InputError
from cityscribe.models.vlm.connectors.mlp import linear_layers


class TsLlava(nn.Module):
    """`thumbnail` frames stand side by side in the first view, of which all tokens are kept; of the tokens of all
    frames, one after the other, `sampled` are, evenly spread from the first to the last. In the paper 6 and 1,728."""

    reads_text = False
    joins_views = True

    def __init__(
        self,
        width: int,
        text_width: int,
        thumbnail: int = 6,
        sampled: int = 1728,
        layers: int = 2,
        activation: str = "gelu",
        bias: bool = True,
    ) -> None:
        super().__init__()
        if thumbnail < 1 or sampled < 1:
            raise InputError(f"thumbnail: {thumbnail}, sampled: {sampled}; expected one or more of each")
        self.thumbnail, self.sampled = thumbnail, sampled
        self.layers = linear_layers(width, text_width, layers, activation, bias)

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1] + self.sampled

    def forward(self, features: Tensor) -> Tensor:
        """[the thumbnail and frames, rows, columns, width] -> [count, text_width]; a lone view is both"""
        frames = (features[1:] if len(features) > 1 else features).flatten(0, 2)
        taken = torch.linspace(0, len(frames) - 1, self.sampled, dtype=torch.float64, device="cpu").round().long()
        return self.layers(torch.cat([features[0].flatten(0, 1), frames[taken.to(frames.device)]]))
