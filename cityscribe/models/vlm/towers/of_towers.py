"""A tower that is made of towers: each sees the picture in its own size and colours.

What such a tower adds to its towers stands in its `merger`, which is a connector for whoever tunes the model: it trains
in a first stage, in which the towers are frozen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from cityscribe.files import InputError
from cityscribe.models.vlm.parts import make_tower


class TowerOfTowers(nn.Module):
    """`towers`: the kind and the options of each. Pictures come in the size of the largest and the colours of the
    first; a tower of another size gets them resized (bicubic, antialiased)."""

    def __init__(self, towers: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        if not towers:
            raise InputError("towers: none; expected a list of towers, each with its `kind`")
        made = [make_tower(options) for options in towers]
        self.towers: Any = nn.ModuleList(made)
        self.size = max((tuple(tower.size) for tower in made), key=math.prod)
        self.mean, self.std = tuple(made[0].mean), tuple(made[0].std)

    def shown(self, tower: Any, pixels: Tensor) -> Tensor:
        """Pictures [views, 3, *size] as a tower takes them."""
        return recoloured(resized(pixels, tower.size), self, tower)

    def each(self, pixels: Tensor) -> list[Tensor]:
        """What every tower makes of pictures: [views, *grid, width], each of its own grid and width."""
        return [tower(self.shown(tower, pixels)) for tower in self.towers]


def resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(pixels.shape[2:]) == tuple(size):
        return pixels
    return functional.interpolate(pixels, size=tuple(size), mode="bicubic", align_corners=False, antialias=True)


def recoloured(pixels: Tensor, known: Any, wanted: Any) -> Tensor:
    """Pixels that are normalised as one part says as another wants them."""
    if tuple(known.mean) == tuple(wanted.mean) and tuple(known.std) == tuple(wanted.std):
        return pixels
    mean, std, other_mean, other_std = (
        pixels.new_tensor(values).view(3, 1, 1) for values in (known.mean, known.std, wanted.mean, wanted.std)
    )
    return (pixels * std + mean - other_mean) / other_std


def regridded(features: Tensor, grid: tuple[int, int]) -> Tensor:
    """Features [views, rows, columns, width] on another grid: averaged where it is coarser, interpolated where
    finer."""
    if tuple(features.shape[1:3]) == tuple(grid):
        return features
    maps = features.permute(0, 3, 1, 2)
    if features.shape[1] >= grid[0] and features.shape[2] >= grid[1]:
        maps = functional.adaptive_avg_pool2d(maps, grid)
    else:
        maps = functional.interpolate(maps, size=tuple(grid), mode="bilinear", align_corners=False)
    return maps.permute(0, 2, 3, 1)
