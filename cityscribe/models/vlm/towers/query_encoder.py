"""Muffin's bridge (Yu et al. 2023): learnt queries stand behind the patches in an encoder that is trained already, and
what they become is what the decoder sees. No connector learns to align from scratch.

The paper uses BEiT-3; here any encoder that is a stack of layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cityscribe.files import InputError
from cityscribe.models.vlm.towers.blocks import Blocks
from cityscribe.models.vlm.towers.of_towers import TowerOfTowers


class Queries(nn.Module):
    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(count, width) / width**0.5)

    def forward(self, states: Tensor) -> Tensor:
        """Tokens [views, tokens, width] with the queries behind them"""
        return torch.cat([states, self.queries.to(states.dtype).expand(len(states), -1, -1)], dim=1)


class QueryEncoder(TowerOfTowers):
    """`towers`: the one encoder. Its grid is a row of `queries`."""

    def __init__(self, towers: Sequence[Mapping[str, Any]], queries: int = 64) -> None:
        super().__init__(towers)
        if len(self.towers) != 1 or queries < 1:
            raise InputError(f"towers: {len(self.towers)}, queries: {queries}; expected one tower, one query or more")
        self.grid, self.width = (1, queries), self.towers[0].width
        Blocks(self.towers[0])
        self.merger = Queries(queries, self.width)

    def forward(self, pixels: Tensor) -> Tensor:
        """[views, 3, *size] -> [views, 1, queries, width]"""
        blocks = Blocks(self.towers[0])
        states = self.merger(blocks.begin(self.shown(self.towers[0], pixels)))
        return blocks.end(blocks.run(states, 0, blocks.count))[:, None, -self.grid[1] :]
