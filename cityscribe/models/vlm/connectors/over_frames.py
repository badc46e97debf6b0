"""What connectors that join the frames of a video have in common: the size that time and space are pooled to.

Such a connector `joins_views`: it is given the views of one image together, [views, rows, columns, width], and makes
`count(grid)` tokens [count, text width] of them, however many there are. A video is such an image, its frames the views
(the tiling `frames`); of a still image there is one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from cityscribe.files import InputError


def checked_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Frames, rows and columns. Raises InputError for another number of numbers, and for one below 1."""
    if len(shape) != 3 or any(not isinstance(size, int) or size < 1 for size in shape):
        raise InputError(f"shape: {list(shape)}; expected frames, rows and columns, each one or more")
    return shape[0], shape[1], shape[2]


def pooled(features: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The means of [frames, rows, columns, width] over windows of time and space, [*shape, width].

    Window i of m over n places goes from floor(i n / m) to ceil((i + 1) n / m), so that fewer frames than windows are
    looked at several times.
    """
    return functional.adaptive_avg_pool3d(features.permute(3, 0, 1, 2), shape).permute(1, 2, 3, 0)


def norms(tokens: Tensor) -> dict[str, float]:
    """Of tokens [any, width] their lengths: the mean, the median, the largest, and the share that is above three times
    the median.

    PLLaVA (Xu et al. 2024, section 3.1) finds few tokens of large norm in videos that are given frame by frame, which
    grow with tuning and own the answer; pooling takes them away.
    """
    lengths = tokens.detach().float().norm(dim=-1).flatten()
    middle = lengths.median()
    return {
        "mean": float(lengths.mean()),
        "median": float(middle),
        "largest": float(lengths.max()),
        "far": float(torch.mean((lengths > 3 * middle).float())),
    }
