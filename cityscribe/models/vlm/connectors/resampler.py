"""Learnt queries that look at the patches once: the resampler of Qwen-VL (Bai et al. 2023), which LLaVA-UHD (Guo et al.
2024) shares between its slices.

Queries stand on a grid, and both they and the patches know where they stand by sines and cosines of row and column.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from cityscribe.files import InputError

NORM_EPS = 1e-6
BASE = 10000.0


class Resampler(nn.Module):
    """`queries`: how many tokens, a square number. `heads`: a 128th of the text width where it is not said."""

    reads_text = False
    positions: Tensor

    def __init__(self, width: int, text_width: int, queries: int = 64, heads: int | None = None) -> None:
        super().__init__()
        side = math.isqrt(queries) if queries > 0 else 0
        if not side or side * side != queries:
            raise InputError(f"queries: {queries}; expected a square number")
        heads = heads or max(text_width // 128, 1)
        if text_width % heads or text_width % 4:
            raise InputError(f"heads: {heads}; a text width of {text_width} takes no {heads} heads and four angles")
        self.side = side
        # Stands beside the weights, as published.
        self.register_buffer("positions", torch.zeros(queries, text_width))
        if not self.positions.is_meta:
            self.positions.copy_(angles(side, text_width))
        self.queries = nn.Parameter(torch.empty(queries, text_width))
        if not self.queries.is_meta:
            nn.init.trunc_normal_(self.queries, std=0.02)
        self.project = nn.Linear(width, text_width, bias=False) if width != text_width else nn.Identity()
        self.attention = nn.MultiheadAttention(text_width, heads, batch_first=True)
        self.query_norm, self.key_norm, self.norm = (nn.LayerNorm(text_width, eps=NORM_EPS) for _ in range(3))
        self.output = nn.Parameter(torch.randn(text_width, text_width) / text_width**0.5)

    def count(self, grid: tuple[int, int]) -> int:
        return self.side * self.side

    def forward(self, features: Tensor) -> Tensor:
        """[views, rows, columns, width] -> [views, count, text_width]"""
        patches = self.key_norm(self.project(features.flatten(1, 2)))
        keys = patches + self._places(features.shape[1], features.shape[2]).to(patches.dtype)
        queries = (self.query_norm(self.queries) + self.positions.to(patches.dtype)).expand(len(patches), -1, -1)
        return self.norm(self.attention(queries, keys, patches, need_weights=False)[0]) @ self.output

    def _places(self, rows: int, columns: int) -> Tensor:
        """[rows * columns, text width]: those of the queries, stretched over the grid"""
        places = self.positions.unflatten(0, (self.side, self.side)).permute(2, 0, 1)[None]
        wide = functional.interpolate(places.float(), size=(rows, columns), mode="bicubic", align_corners=False)
        return wide[0].flatten(1).transpose(0, 1)


def angles(side: int, width: int) -> Tensor:
    """Sines and cosines of column and row of a square grid, [side * side, width], row by row; a quarter each."""
    speeds = BASE ** -(torch.arange(width // 4, dtype=torch.float64) / (width / 4))
    turns = torch.arange(side, dtype=torch.float64)[:, None] * speeds  # [side, width / 4]
    waves = torch.cat([turns.sin(), turns.cos()], dim=1)  # [side, width / 2]
    columns, rows = waves[None].expand(side, -1, -1), waves[:, None].expand(-1, side, -1)
    return torch.cat([columns, rows], dim=-1).flatten(0, 1).float()
