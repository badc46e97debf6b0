"""SliME (Zhang et al. 2024): all of the image as a whole through a mixture of adapters, and of its tiles few tokens, of
which the question chooses.

Whole: two adapters, linear layers on each patch and an attention between the patches, weighed by a gate that has read
the picture. Tiles: learnt queries look at the patches, the same linear layers make tokens, and those nearest to the
question (mean cosine to its words) stay, in their order. The published program keeps as many as reach a share of the
similarity; here `kept` of each tile, so that the count is known before the model runs.

Trained together the two do not do well, says the paper, and in turns they do: `train.alternate: [global_view,
local_views]`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cityscribe.files import InputError
from cityscribe.models.vlm.connectors.mlp import linear_layers
from cityscribe.models.vlm.connectors.resampler import Resampler


class Slime(nn.Module):
    """`queries`: of a tile, a square number; `kept`: those that the question chooses."""

    reads_text = True

    def __init__(
        self, width: int, text_width: int, queries: int = 144, kept: int = 64, heads: int = 8, layers: int = 2
    ) -> None:
        super().__init__()
        if not 1 <= kept <= queries:
            raise InputError(f"kept: {kept}; expected 1 to {queries}, the queries")
        if heads < 1 or width % heads:
            raise InputError(f"heads: {heads}; do not divide a width of {width}")
        self.tile_tokens = kept
        self.layers = linear_layers(width, text_width, layers, "gelu", bias=True)
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.attended = nn.Linear(width, text_width)
        self.gate = nn.Linear(width, 2)
        self.sampler = Resampler(width, width, queries, heads)

    def parts(self) -> dict[str, list[nn.Module]]:
        """What trains in turns (`settings.ModelPart`); the linear layers serve both, and stay out of it."""
        return {
            "global_view": [self.norm, self.attention, self.attended, self.gate],
            "local_views": [self.sampler],
        }

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1]

    def forward(self, features: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """The image as a whole: [views, rows, columns, width] -> [views, rows * columns, text_width]"""
        patches = features.flatten(1, 2)
        normed = self.norm(patches)
        seen = patches + self.attention(normed, normed, normed, need_weights=False)[0]
        shares = self.gate(patches.mean(dim=1)).softmax(dim=-1)[:, :, None, None]  # [views, 2, 1, 1]
        return shares[:, 0] * self.layers(patches) + shares[:, 1] * self.attended(seen)

    def tiles(self, features: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Tiles: [views, rows, columns, width], and the words that guide each [views, words, text_width], with those
        that count [views, words] -> [views, kept, text_width]"""
        tokens = self.layers(self.sampler(features))
        chosen = self.near(tokens, text, mask).topk(self.tile_tokens, dim=1).indices.sort(dim=1).values
        return tokens.gather(1, chosen[..., None].expand(-1, -1, tokens.shape[-1]))

    def near(self, tokens: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """How near tokens [views, queries, text_width] are to the words: [views, queries]"""
        words = functional.normalize(text, dim=-1) * mask[..., None]
        mean = words.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)
        return torch.einsum("vqw,vw->vq", functional.normalize(tokens, dim=-1), mean)
