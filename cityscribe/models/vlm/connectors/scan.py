"""ML-Mamba's connector (Huang et al. 2024): patches are scanned in two dimensions by state spaces.

A state space reads a row of tokens in one direction, so the grid is read in several: along its rows and along its
columns, forwards and backwards; a patch is the sum of what each of them knows when it comes by. With two `directions`
(along the rows alone) it is the paper's bidirectional scan, with four its cross scan. A gated linear unit ends it. The
state spaces are Mamba-2 of transformers, one for each direction.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Mamba2Config
from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

from cityscribe.files import InputError


class Scan(nn.Module):
    """`heads` of the state spaces, `states` of each, `expand`: how much wider than the features they compute."""

    reads_text = False

    def __init__(
        self, width: int, text_width: int, directions: int = 4, heads: int = 8, states: int = 64, expand: int = 2
    ) -> None:
        super().__init__()
        if directions not in (2, 4):
            raise InputError(f"directions: {directions}; expected 2 or 4")
        if heads < 1 or (expand * width) % heads:
            raise InputError(f"heads: {heads}; do not divide {expand} times a width of {width}")
        config = Mamba2Config(
            hidden_size=width,
            num_heads=heads,
            head_dim=expand * width // heads,
            expand=expand,
            state_size=states,
            n_groups=1,
            use_cache=False,
        )
        self.norm = nn.LayerNorm(width)
        self.scans = nn.ModuleList([Mamba2Mixer(config, layer_idx=number) for number in range(directions)])
        self.gate, self.value = nn.Linear(width, text_width), nn.Linear(width, text_width)
        self.output = nn.Linear(text_width, text_width)

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1]

    def forward(self, features: Tensor) -> Tensor:
        """[views, rows, columns, width] -> [views, rows * columns, text_width]"""
        normed = self.norm(features)
        scanned = torch.stack([self.scanned(number, normed) for number in range(len(self.scans))])
        known = features + scanned.sum(dim=0)
        tokens: Tensor = self.output(functional.silu(self.gate(known)) * self.value(known))
        return tokens.flatten(1, 2)

    def scanned(self, direction: int, features: Tensor) -> Tensor:
        """What one scan makes of a grid: along rows, rows backwards, columns, columns backwards."""
        along = features.transpose(1, 2) if direction >= 2 else features
        line = along.flatten(1, 2)
        line = line.flip(1) if direction % 2 else line
        read = self.scans[direction](line)
        read = (read.flip(1) if direction % 2 else read).unflatten(1, tuple(along.shape[1:3]))
        return read.transpose(1, 2) if direction >= 2 else read
