"""The video processors of transformers, without torchvision.

Each of them stands on torchvision, which an installation for processors alone does not have. What they take from it are
four functions of tensors; plain torch stands in for these (`PlainTensors`), and everything else, such as sizes, patches
and their order, is the family's own code. The same class serves machines with and without torchvision, so that a video
gives the same pixels on both. Resizing is that of torchvision for bytes: `torch.nn.functional.interpolate` with
antialiasing, in whole numbers where torch has it, else in float32, limited to 0 to 255 and rounded.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers.image_utils import SizeDict
from transformers.video_processing_utils import BaseVideoProcessor

CLASSES = {
    "Qwen2VLVideoProcessor": "qwen2_vl",
    "Qwen3VLVideoProcessor": "qwen3_vl",
    "LlavaOnevisionVideoProcessor": "llava_onevision",
    "LlavaNextVideoVideoProcessor": "llava_next_video",
    "SmolVLMVideoProcessor": "smolvlm",
    "InternVLVideoProcessor": "internvl",
    "VideoLlama3VideoProcessor": "video_llama_3",
}
"""Video processors of transformers, and the family in whose folder each stands."""

OF_PROCESSOR = {
    "Qwen2VLProcessor": "Qwen2VLVideoProcessor",
    "Qwen2_5_VLProcessor": "Qwen2VLVideoProcessor",
    "Qwen3VLProcessor": "Qwen3VLVideoProcessor",  # of Qwen3.5 as well
    "LlavaOnevisionProcessor": "LlavaOnevisionVideoProcessor",
    "LlavaNextVideoProcessor": "LlavaNextVideoVideoProcessor",
    "SmolVLMProcessor": "SmolVLMVideoProcessor",
    "InternVLProcessor": "InternVLVideoProcessor",
    "VideoLlama3Processor": "VideoLlama3VideoProcessor",
}
"""Processors that show a video as a video, by the names of their classes, and their video processors."""

MODES = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""What torch calls the filters of Pillow, by their numbers there."""

WHOLE_NUMBERS = ("nearest", "bicubic", "lanczos")
"""Filters that torch applies to bytes as they are on every processor."""


class PlainTensors(BaseVideoProcessor):
    """Stands between a family's video processor and transformers' base class, in place of torchvision's functions."""

    def convert_to_rgb(self, video: Tensor) -> Tensor:  # type: ignore[override]
        return video  # frames are RGB when they come here

    def resize(
        self, image: Tensor, size: SizeDict, resample: Any = None, antialias: bool = True, **kwargs: Any
    ) -> Tensor:
        """Frames [..., 3, height, width] in another size; of their kind of numbers."""
        height, width = _target(image, size)
        if (height, width) == tuple(image.shape[-2:]):
            return image
        mode = MODES[2 if resample is None else int(resample)]
        frames = image.reshape(-1, *image.shape[-3:])
        as_float = frames.dtype == torch.uint8 and mode not in WHOLE_NUMBERS
        resized = functional.interpolate(
            frames.float() if as_float else frames,
            size=(height, width),
            mode=mode,
            align_corners=None if mode == "nearest" else False,
            antialias=antialias and mode != "nearest",
        )
        if as_float:
            resized = resized.clamp_(0, 255).round_().to(torch.uint8)
        return resized.reshape(*image.shape[:-2], height, width)

    def normalize(  # type: ignore[override]
        self, image: Tensor, mean: Any, std: Any, inplace: bool = False, **kwargs: Any
    ) -> Tensor:
        shift, scale = (
            torch.as_tensor(value, dtype=image.dtype, device=image.device).view(-1, 1, 1) for value in (mean, std)
        )
        return (image - shift).div_(scale)

    def center_crop(self, image: Tensor, size: SizeDict, **kwargs: Any) -> Tensor:  # type: ignore[override]
        """The middle of frames, with black around it where they are smaller."""
        height, width = int(size.height or 0), int(size.width or 0)
        missing = max(height - image.shape[-2], 0), max(width - image.shape[-1], 0)
        if any(missing):
            (tall, wide) = missing
            image = functional.pad(image, (wide // 2, (wide + 1) // 2, tall // 2, (tall + 1) // 2))
        top, left = int((image.shape[-2] - height) / 2), int((image.shape[-1] - width) / 2)
        return image[..., top : top + height, left : left + width]


def _target(image: Tensor, size: SizeDict) -> tuple[int, int]:
    """Height and width that a size of transformers means for an image."""
    height, width = image.shape[-2:]
    if size.shortest_edge and size.longest_edge:
        raise ValueError("a video processor with both a shortest and a longest edge resizes by a rule of its own")
    if size.shortest_edge:
        short, long = sorted((height, width))
        longer = int(size.shortest_edge * long / short)
        return (size.shortest_edge, longer) if height <= width else (longer, size.shortest_edge)
    if size.height and size.width:
        return int(size.height), int(size.width)
    raise ValueError(f"a video processor gives a size that is not known: {size}")


def video_class_name(processor: str, settings: dict[str, Any]) -> str | None:
    """The video processor that belongs to a processor of a class, by what its checkpoint says of it (`settings`, may be
    empty); None where there is none that is known."""
    named = settings.get("video_processor_type")
    return named if named in CLASSES else OF_PROCESSOR.get(processor)


@cache
def _plain_class(name: str) -> type[PlainTensors]:
    """A video processor of transformers on plain tensors, under the same name."""
    family = CLASSES[name]
    with _stand_ins():
        module = importlib.import_module(f"transformers.models.{family}.video_processing_{family}")
    return type(name, (getattr(module, name), PlainTensors), {"__module__": __name__})


def video_processor(name: str, settings: dict[str, Any]) -> PlainTensors:
    """A video processor of `CLASSES` with the settings of a checkpoint."""
    made: PlainTensors = _plain_class(name).from_dict(settings)
    return made


STAND_INS = (
    "torchvision",
    "torchvision.transforms",
    "torchvision.transforms.v2",
    "torchvision.transforms.v2.functional",
)


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Within it modules that import torchvision for the sake of annotations find an empty one where there is none."""
    if importlib.util.find_spec("torchvision") is not None:
        yield
        return
    made = {name: types.ModuleType(name) for name in STAND_INS}
    for name in STAND_INS[1:]:
        parent, _, own = name.rpartition(".")
        setattr(made[parent], own, made[name])
    sys.modules.update(made)
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]
