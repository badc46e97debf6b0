"""PPLLaVA (Liu et al. 2024): pooling over time and space that is guided by the question.

How alike a patch and the question are decides how much it counts in the mean of its window. In the paper CLIP's two
projections say how alike they are; here two projections of the connector, of the patch and of the question's mean
embedding, do, so that any tower and any decoder can be put together. With equal weights it is PLLaVA.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from cityscribe.models.vlm.connectors.mlp import linear_layers
from cityscribe.models.vlm.connectors.over_frames import checked_shape, pooled


class Ppllava(nn.Module):
    """`shape` is how many frames, rows and columns are left, `common` the width in which patch and question meet;
    `scale` multiplies their cosine at the start, 1 / 0.07 as CLIP's."""

    reads_text = True
    joins_views = True

    def __init__(
        self,
        width: int,
        text_width: int,
        shape: Sequence[int] = (16, 8, 8),
        common: int = 256,
        scale: float = 1 / 0.07,
        layers: int = 2,
        activation: str = "gelu",
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.shape = checked_shape(shape)
        self.layers = linear_layers(width, text_width, layers, activation, bias)
        self.of_patch = nn.Linear(width, common, bias=False)
        self.of_text = nn.Linear(text_width, common, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    def count(self, grid: tuple[int, int]) -> int:
        return self.shape[0] * self.shape[1] * self.shape[2]

    def weights(self, features: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """How much each patch counts, [frames, rows, columns], one in all. Of the question the embeddings
        [tokens, text_width] and which of them count [tokens]; without any all patches count alike."""
        counts = mask[:, None].to(text.dtype)
        mean = (text * counts).sum(dim=0) / counts.sum().clamp(min=1)  # of no words zero, which is like nothing
        patches = functional.normalize(self.of_patch(features), dim=-1)
        asked = functional.normalize(self.of_text(mean), dim=-1)
        return ((patches @ asked) * self.log_scale.exp()).flatten().softmax(dim=0).view(features.shape[:3])

    def forward(self, features: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """[frames, rows, columns, width] and the question as for `weights` -> [count, text_width]"""
        weights = self.weights(features, text, mask)[..., None]
        weights = weights / weights.mean()  # so that no window is rounded to nothing
        tokens = pooled(weights * self.layers(features), self.shape) / pooled(weights, self.shape)
        return tokens.flatten(0, 2)
