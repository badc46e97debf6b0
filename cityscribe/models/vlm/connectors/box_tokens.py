"""MG-LLaVA's object tokens (Zhao et al. 2024): a token for each box of an image, behind those of the image itself.

Features inside the box are taken from the map by RoI-align and averaged, and linear layers make a token of them: what
CityLLaVA's drawn boxes say in pixels, in a form that is learned. The published model takes them from the maps of its
high-resolution encoder and boxes of an open-vocabulary detector; here from what the tower gives (`conv-gate` has that
map in it), and whichever boxes the image brings along (`cityscribe.media.image_boxes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cityscribe.files import InputError
from cityscribe.models.seams import CONNECTORS
from cityscribe.models.vlm.connectors.mlp import linear_layers


class BoxTokens(nn.Module):
    """`connector`: that of the image itself, its `kind` and options. `most`: boxes that an image may have; one with
    more is refused. `points`: along each side of a box, where the map is looked at."""

    reads_text = False
    reads_boxes = True

    def __init__(
        self,
        width: int,
        text_width: int,
        connector: Mapping[str, Any] | None = None,
        most: int = 8,
        points: int = 4,
        layers: int = 2,
    ) -> None:
        super().__init__()
        if most < 1 or points < 1:
            raise InputError(f"most {most}, points {points}: expected one or more")
        options = {"kind": "mlp", **(connector or {})}
        kind = str(options.pop("kind"))
        self.connector = CONNECTORS[kind](width, text_width, **options)
        if self.connector.reads_text or getattr(self.connector, "reads_class_tokens", False):
            raise InputError(f"connector {kind}: reads more than features, which is not handed on")
        self.most_boxes = most
        self.points = points
        self.layers = linear_layers(width, text_width, layers, "gelu", bias=True)

    def count(self, grid: tuple[int, int]) -> int:
        """Of the image itself; each of its boxes is one more."""
        return int(self.connector.count(grid))

    def forward(self, features: Tensor) -> Tensor:
        """[views, rows, columns, width] -> [views, count, text_width]"""
        tokens: Tensor = self.connector(features)
        return tokens

    def box_tokens(self, features: Tensor, views: Tensor, edges: Tensor) -> Tensor:
        """Features [views, rows, columns, width]; of each box its view [boxes] and its edges [boxes, 4], left, top,
        right, bottom in shares of that -> [boxes, text_width]"""
        inside = roi_align(features.permute(0, 3, 1, 2)[views], edges, self.points)
        return self.layers(inside.mean(dim=(2, 3)))


def roi_align(maps: Tensor, edges: Tensor, points: int) -> Tensor:
    """Maps [boxes, width, rows, columns] at `points` by `points` places spread evenly over each box [boxes, 4], between
    cells by bilinear interpolation: [boxes, width, points, points] (He et al. 2017, with half-pixel centres)."""
    shares = (torch.arange(points, device=edges.device, dtype=edges.dtype) + 0.5) / points
    across = edges[:, None, 0] + shares * (edges[:, 2] - edges[:, 0])[:, None]  # [boxes, points]
    down = edges[:, None, 1] + shares * (edges[:, 3] - edges[:, 1])[:, None]
    places = torch.stack(
        [across[:, None].expand(-1, points, -1), down[:, :, None].expand(-1, -1, points)], dim=-1
    )  # [boxes, points, points, 2]
    grid = (2 * places - 1).to(maps.dtype)
    return functional.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=False)
