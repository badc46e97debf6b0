"""No encoder: the pixels of each patch as they are, for a connector that is a linear layer (SOLO, Chen et al. 2024)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from transformers.image_utils import IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD

from cityscribe.files import InputError


class NoEncoder(nn.Module):
    """`size`: pixels of a side; `patch`: of a patch. A feature is the 3 * patch * patch values of its patch."""

    mean = tuple(IMAGENET_STANDARD_MEAN)
    std = tuple(IMAGENET_STANDARD_STD)

    def __init__(self, size: int = 224, patch: int = 32) -> None:
        super().__init__()
        if patch < 1 or size < patch or size % patch:
            raise InputError(f"size {size} is no multiple of patch {patch}")
        self.patch = patch
        self.size = (size, size)
        self.grid = (size // patch, size // patch)
        self.width = 3 * patch * patch

    def forward(self, pixels: Tensor) -> Tensor:
        """[views, 3, *size] -> [views, *grid, width]"""
        return functional.pixel_unshuffle(pixels, self.patch).permute(0, 2, 3, 1)
