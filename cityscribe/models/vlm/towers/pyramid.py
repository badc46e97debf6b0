"""PIIP (Zhu et al. 2024), the pyramid with inverted parameters: a small network for the picture in high resolution, a
large one for it in low, which tell each other what they see after every few layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cityscribe.files import InputError
from cityscribe.models.vlm.towers.blocks import Blocks, spread
from cityscribe.models.vlm.towers.of_towers import TowerOfTowers, regridded


class BranchAttention(nn.Module):
    """What patches of one branch see in those of another, added by a gate that is closed at first."""

    def __init__(self, width: int, other: int, heads: int) -> None:
        super().__init__()
        self.norm, self.other_norm = nn.LayerNorm(width), nn.LayerNorm(other)
        self.project = nn.Linear(other, width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.gate = nn.Parameter(torch.zeros(width))

    def forward(self, patches: Tensor, others: Tensor) -> Tensor:
        seen = self.project(self.other_norm(others))
        return patches + self.gate * self.attention(self.norm(patches), seen, seen, need_weights=False)[0]


class Crossings(nn.Module):
    """Both directions at each crossing, and what makes one map of two in the end."""

    def __init__(self, large: int, small: int, times: int, heads: int) -> None:
        super().__init__()
        self.to_large = nn.ModuleList([BranchAttention(large, small, heads) for _ in range(times)])
        self.to_small = nn.ModuleList([BranchAttention(small, large, heads) for _ in range(times)])
        self.project = nn.Linear(small, large)


class Pyramid(TowerOfTowers):
    """Two towers, the large one first, each a transformer with its own size of pictures; `crossings`: how often they
    look at each other; `heads` of that. The grid is that of the large one, whose width the sum has."""

    def __init__(self, towers: Sequence[Mapping[str, Any]], crossings: int = 4, heads: int = 8) -> None:
        super().__init__(towers)
        if len(self.towers) != 2:
            raise InputError(f"towers: {len(self.towers)}; expected two, the large one first")
        large, small = self.towers
        for tower in self.towers:
            spread(Blocks(tower).count, crossings)
        self.crossings = crossings
        self.grid, self.width = tuple(large.grid), large.width
        self.merger = Crossings(large.width, small.width, crossings, heads)

    def forward(self, pixels: Tensor) -> Tensor:
        """[views, 3, *size] -> [views, *grid, width]"""
        branches = [Blocks(tower) for tower in self.towers]
        states = [branch.begin(self.shown(tower, pixels)) for branch, tower in zip(branches, self.towers, strict=True)]
        stops = [spread(branch.count, self.crossings) for branch in branches]
        done = [0, 0]
        for number in range(self.crossings):
            states = [
                branch.run(state, first, stop[number])
                for branch, state, first, stop in zip(branches, states, done, stops, strict=True)
            ]
            done = [stop[number] for stop in stops]
            states = self._cross(number, *states)
        large, small = (
            branch.end(state)[:, tower.class_tokens :].unflatten(1, tower.grid)
            for branch, state, tower in zip(branches, states, self.towers, strict=True)
        )
        return large + self.merger.project(regridded(small, self.grid))

    def _cross(self, number: int, large: Tensor, small: Tensor) -> list[Tensor]:
        """Both states once each has seen the patches of the other."""
        first, second = (tower.class_tokens for tower in self.towers)
        large_patches, small_patches = large[:, first:], small[:, second:]
        return [
            torch.cat([large[:, :first], self.merger.to_large[number](large_patches, small_patches)], dim=1),
            torch.cat([small[:, :second], self.merger.to_small[number](small_patches, large_patches)], dim=1),
        ]
