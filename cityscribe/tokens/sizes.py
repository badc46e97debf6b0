"""How many tokens images become, by their sizes alone, without reading a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import ProcessorMixin

TELLS_OF_ONE = ("LlavaOnevisionProcessor",)
"""Processors whose rule holds for a single image only: of several each is shown whole, and they count its tiles."""


def fewest_image_tokens(processor: ProcessorMixin, sizes: Sequence[tuple[int, int]]) -> int:
    """How many tokens images of these sizes (width and height in pixels) in one conversation are at least.

    By the processor's own rule, the one that vLLM plans memory with. A processor that has none, or fails at it, counts
    as one that makes a token of an image.
    """
    count: Any = getattr(processor, "_get_num_multimodal_tokens", None)
    if count is None or (len(sizes) > 1 and type(processor).__name__ in TELLS_OF_ONE):
        return len(sizes)
    try:
        return sum(count(image_sizes=[[height, width] for width, height in sizes]).num_image_tokens)
    except Exception:  # whatever foreign code makes of an odd size
        return len(sizes)
