"""Text decoders: a question that looks at an image, as queries for the context token of LLaMA-VID."""

from __future__ import annotations

import torch
from torch import Tensor


def additive(sees: Tensor, like: Tensor) -> Tensor:
    """Who sees whom, [views, 1, queries, keys] or less by broadcasting, as what is added to scores: 0 or very little.

    Given whole, it is taken as it is; transformers would look at the values of a mask to leave it out, which there are
    none of on the meta device.
    """
    return torch.zeros_like(sees, dtype=like.dtype).masked_fill(~sees.bool(), torch.finfo(like.dtype).min)
