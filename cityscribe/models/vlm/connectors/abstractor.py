"""The convolutional abstractor of Honeybee (Cha et al. 2024): convolutions that keep places, an average to fewer of
them, and convolutions again, so that a token knows where it stands though there are few.

Blocks are those of RegNet with squeeze-and-excitation (a linear layer, a grouped 3 x 3 convolution, a linear layer).
The published one adds learnt positions for one size of grid; here those of the tower have to do, so that any grid fits.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

from cityscribe.files import InputError
from cityscribe.models.vlm.connectors.mlp import linear_layers


class Block(nn.Module):
    def __init__(self, width: int, output: int, groups: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, output, 1)
        self.place = nn.Conv2d(output, output, 3, padding=1, groups=groups)
        self.last = nn.Conv2d(output, output, 1)
        self.norms = nn.ModuleList([nn.LayerNorm(output) for _ in range(3)])
        self.squeeze = nn.Sequential(
            nn.Conv2d(output, max(output // 4, 1), 1),
            nn.SiLU(),
            nn.Conv2d(max(output // 4, 1), output, 1),
            nn.Sigmoid(),
        )
        self.skip = nn.Conv2d(width, output, 1) if width != output else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """[views, width, rows, columns] -> [views, output, rows, columns]"""
        found = functional.silu(_normed(self.norms[0], self.first(features)))
        found = functional.silu(_normed(self.norms[1], self.place(found)))
        found = found * self.squeeze(functional.adaptive_avg_pool2d(found, 1))
        return functional.silu(_normed(self.norms[2], self.last(found)) + self.skip(features))


class Abstractor(nn.Module):
    """`queries`: how many tokens, a square number. `depth`: blocks before and as many behind the average. `hidden`:
    their width, that of the features where it is not said."""

    reads_text = False

    def __init__(
        self,
        width: int,
        text_width: int,
        queries: int = 144,
        depth: int = 3,
        hidden: int | None = None,
        groups: int = 1,
        layers: int = 2,
    ) -> None:
        super().__init__()
        side = math.isqrt(queries) if queries > 0 else 0
        if not side or side * side != queries:
            raise InputError(f"queries: {queries}; expected a square number")
        hidden = hidden or width
        if depth < 1 or groups < 1 or hidden % groups:
            raise InputError(f"depth {depth}, groups {groups}: expected one or more, and groups that divide {hidden}")
        self.side = side
        self.before = nn.Sequential(*(Block(hidden if n else width, hidden, groups) for n in range(depth)))
        self.behind = nn.Sequential(*(Block(hidden, hidden, groups) for _ in range(depth)))
        self.layers = linear_layers(hidden, text_width, layers, "silu", bias=True)

    def count(self, grid: tuple[int, int]) -> int:
        return self.side * self.side

    def forward(self, features: Tensor) -> Tensor:
        """[views, rows, columns, width] -> [views, count, text_width]"""
        maps = functional.adaptive_avg_pool2d(self.before(features.permute(0, 3, 1, 2)), self.side)
        return self.layers(self.behind(maps).flatten(2).transpose(1, 2))


def _normed(norm: nn.Module, maps: Tensor) -> Tensor:
    """A norm over the channels of each place."""
    normed: Tensor = norm(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return normed
