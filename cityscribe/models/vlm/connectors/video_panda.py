"""Video-Panda's block (Yi et al. 2025), for videos without an image encoder: local patterns, fewer places, and what a
frame and the video are as a whole.

Patches, as the tower `none` gives them, meet their neighbours in time and space in a convolution; within each window
those that matter are weighed by attention to a learnt query; each place is then told what its frame and what the whole
video shows, again by learnt queries. A token of the whole video comes first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from cityscribe.models.vlm.connectors.mlp import linear_layers
from cityscribe.models.vlm.connectors.over_frames import checked_shape, pooled


class VideoPanda(nn.Module):
    """`shape` is how many frames, rows and columns are left, `inner` the width in between."""

    reads_text = False
    joins_views = True

    def __init__(
        self,
        width: int,
        text_width: int,
        shape: Sequence[int] = (16, 8, 8),
        inner: int = 768,
        layers: int = 2,
        activation: str = "gelu",
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.shape = checked_shape(shape)
        self.enter = nn.Linear(width, inner)
        self.local = nn.Conv3d(inner, inner, 3, padding=1, groups=inner)
        self.mix = nn.Linear(inner, inner)
        self.of_window, self.of_frame, self.of_video = (nn.Linear(inner, 1, bias=False) for _ in range(3))
        self.frame, self.video = nn.Linear(inner, inner), nn.Linear(inner, inner)
        self.layers = linear_layers(inner, text_width, layers, activation, bias)

    def count(self, grid: tuple[int, int]) -> int:
        return 1 + self.shape[0] * self.shape[1] * self.shape[2]

    def forward(self, features: Tensor) -> Tensor:
        """[frames, rows, columns, width] -> [count, text_width]: the video, then place after place"""
        patches = self.enter(features)
        near = self.local(patches.permute(3, 0, 1, 2)[None])[0].permute(1, 2, 3, 0)
        patches = patches + self.mix(functional.gelu(near))
        weights = (self.of_window(patches) - self.of_window(patches).amax()).exp().clamp(min=1e-6)
        places = pooled(weights * patches, self.shape) / pooled(weights, self.shape)  # [*shape, inner]
        frames = places.flatten(1, 2)
        of_frames = (self.of_frame(frames).softmax(dim=1) * frames).sum(dim=1)  # [frames, inner]
        whole = places.flatten(0, 2)
        of_video = (self.of_video(whole).softmax(dim=0) * whole).sum(dim=0)  # [inner]
        told = places + self.frame(of_frames)[:, None, None] + self.video(of_video)
        return self.layers(torch.cat([of_video[None], told.flatten(0, 2)]))
