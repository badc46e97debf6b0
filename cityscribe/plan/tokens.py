"""How many tokens images and questions are: by the processor of a model that is on this machine, else by its rule."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from PIL import Image
from transformers import PreTrainedConfig, ProcessorMixin

from cityscribe.models.load import load_processor, resolve_base

ImageSize = tuple[int, int]
"""Width and height in pixels."""

QWEN_PIXELS = {"qwen2_5_vl": (56 * 56, 14 * 14 * 4 * 16384), "qwen3_vl": (256 * 256, 4096 * 4096)}
"""Fewest and most pixels that the processors of the published models resize an image to."""


def prompt_tokens(base: str, config: PreTrainedConfig, sizes: list[ImageSize], *, tiles: bool = True) -> int:
    """The tokens of a question without words about images of these sizes, shown together."""
    if Path(resolve_base(base)).is_dir():
        return counted(load_processor(base, tiles=tiles), sizes)
    return sum(image_tokens(config, size, alone=len(sizes) == 1) for size in sizes)


def counted(processor: ProcessorMixin, sizes: list[ImageSize]) -> int:
    """By the processor itself, of white images."""
    content: Any = [*({"type": "image"} for _ in sizes), {"type": "text", "text": ""}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    images = [Image.new("RGB", size, "white") for size in sizes]
    given: Any = processor(text=[text], images=[images], return_tensors="np")
    return len(given["input_ids"][0])


def image_tokens(config: PreTrainedConfig, size: ImageSize, *, alone: bool) -> int:
    """Of one image by the rule of its family; `alone` where a sample shows no other."""
    kind, vision = config.model_type, config.vision_config
    if kind in QWEN_PIXELS:
        return _qwen(size, vision.patch_size * vision.spatial_merge_size, *QWEN_PIXELS[kind])
    square = (vision.image_size // vision.patch_size) ** 2
    if kind == "smolvlm":
        tile = vision.image_size
        width, height = _longest(size, 4 * tile)
        rows, columns = math.ceil(height / tile), math.ceil(width / tile)
        return (rows * columns + 1) * (square // config.scale_factor**2 + 2) + rows * (columns + 1)
    if kind == "llava_onevision" and not alone:
        return square + 1  # and one for the end of the image
    return square


QWEN_VIDEO_PIXELS = {"qwen2_5_vl": (128 * 28 * 28, 768 * 28 * 28), "qwen3_vl": (128 * 32 * 32, 768 * 32 * 32)}
"""The same of a frame of a video; of Qwen3-VL of all frames together."""


def video_tokens(config: PreTrainedConfig, frames: int, size: ImageSize) -> int:
    """Of a video by the rule of its family; of one that shows frames as images, of those."""
    kind, vision = config.model_type, config.vision_config
    if kind in QWEN_PIXELS:
        fewest, most = QWEN_VIDEO_PIXELS[kind]
        pairs = math.ceil(frames / 2)  # two frames become one step in time
        if kind == "qwen3_vl":
            fewest, most = max(fewest // frames, 1), max(most // frames, 1)
        return pairs * _qwen(size, vision.patch_size * vision.spatial_merge_size, fewest, most)
    side = vision.image_size // vision.patch_size
    if kind == "llava_onevision":
        return frames * math.ceil(side / 2) ** 2 + 1
    if kind == "smolvlm":
        return frames * (side**2 // config.scale_factor**2 + 2)
    return frames * image_tokens(config, size, alone=frames == 1)


def _qwen(size: ImageSize, unit: int, fewest: int, most: int) -> int:
    """Both sides become multiples of a token's, as near as their shape and the limits allow."""
    width, height = (max(unit, round(side / unit) * unit) for side in size)
    area = size[0] * size[1]
    if width * height > most:
        scale = math.sqrt(area / most)
        width, height = (max(unit, math.floor(side / scale / unit) * unit) for side in size)
    elif width * height < fewest:
        scale = math.sqrt(fewest / area)
        width, height = (math.ceil(side * scale / unit) * unit for side in size)
    return width * height // unit**2


def _longest(size: ImageSize, longest: int) -> ImageSize:
    width, height = size
    scale = longest / max(width, height)
    return round(width * scale), round(height * scale)
