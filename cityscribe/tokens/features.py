"""The features of an image computed once and handed out wherever it is shown.

A tree holds an image at several places where a conversation shows it twice, where a template puts text before it that
differs, or where other trees in its row show it too. Its features are the same at all of them exactly where content
keys agree, so that the vision path computes one item for each key.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

PER_IMAGE = ("pooler_output", "deepstack_features")
"""What `get_image_features` of transformers gives image by image and `forward` reads; the latter for each layer."""


def feature_owner(model: nn.Module) -> nn.Module | None:
    """The part of a model whose `forward` takes the features of its images from its own `get_image_features`.

    None where there is no such part. That `forward` also takes features (`mm_encoder_outputs`) is the sign that it
    asks for them in one place.
    """
    owners = [module for module in model.modules() if hasattr(type(module), "get_image_features")]
    owner = owners[-1] if owners else None
    return owner if owner and "mm_encoder_outputs" in inspect.signature(type(owner).forward).parameters else None


def distinct_media(
    keys: Sequence[bytes], parts: Sequence[Mapping[str, Tensor]]
) -> tuple[list[Mapping[str, Tensor]], tuple[int, ...]]:
    """Each item once, and for each place the number of its item; all as they are where an item is more than one image.

    The numbers are empty where nothing is shown twice.
    """
    first: dict[bytes, int] = {}
    copies = tuple(first.setdefault(key, len(first)) for key in keys)
    if len(first) == len(keys) or not all(_is_one_image(part) for part in parts):
        return list(parts), ()
    return [parts[copies.index(number)] for number in range(len(first))], copies


def image_keys(
    keys: Sequence[bytes], parts: Sequence[Mapping[str, Tensor]], copies: Sequence[int]
) -> tuple[bytes, ...]:
    """The content keys of what `distinct_media` gives for items of these keys; empty where one is no single image."""
    if not all(_is_one_image(part) for part in parts):
        return ()
    return tuple(keys[copies.index(number)] for number in range(max(copies) + 1)) if copies else tuple(keys)


@contextmanager
def handed_out(model: nn.Module, copies: Sequence[int], frames: Sequence[int] = ()) -> Iterator[None]:
    """Within it the model computes its images once each and takes image `copies[n]` for the n-th place that shows one;
    and the n-th video by its first `frames[n]` frames, those behind being padding.

    `model` is one that has a `feature_owner`, or something around it. Where both are empty nothing changes.
    """
    owner = feature_owner(model) if copies else None
    videos = video_owner(model) if frames else None
    replaced: list[tuple[nn.Module, str]] = []
    if owner is not None:
        vars(owner)["get_image_features"] = _of_copies(owner.get_image_features, copies)
        replaced.append((owner, "get_image_features"))
    if videos is not None:
        vars(videos)["get_video_features"] = _of_frames(videos.get_video_features, frames)
        replaced.append((videos, "get_video_features"))
    try:
        yield
    finally:
        for module, name in replaced:
            del vars(module)[name]


def video_owner(model: nn.Module) -> nn.Module | None:
    """The part of a model whose `forward` takes the features of its videos from its own `get_video_features`."""
    owners = [module for module in model.modules() if hasattr(type(module), "get_video_features")]
    return owners[-1] if owners else None


def _of_copies(compute: Any, copies: Sequence[int]) -> Any:
    def features(*args: Any, **kwargs: Any) -> Any:
        found = compute(*args, **kwargs)
        for name in PER_IMAGE:
            if (given := getattr(found, name, None)) is not None:
                layers = [_picked(each, copies) for each in given] if name == "deepstack_features" else None
                setattr(found, name, layers or _picked(given, copies))
        return found

    return features


def _of_frames(compute: Any, frames: Sequence[int]) -> Any:
    """Each video by itself, one after the other: as one video of all their tokens, [1, tokens, width]."""

    def features(pixel_values_videos: Tensor, *args: Any, **kwargs: Any) -> Any:
        found = None
        parts = []
        for video, count in zip(pixel_values_videos, frames, strict=True):  # [frames, 3, height, width]
            found = compute(video[None, :count], *args, **kwargs)
            parts.append(found.pooler_output)
        assert found is not None
        found.pooler_output = torch.cat(parts, dim=1)
        return found

    return features


def _picked(images: Any, copies: Sequence[int]) -> Any:
    """The features of images, a tensor or a sequence with one entry an image, once for each place."""
    if len(images) != max(copies) + 1:
        raise ValueError(f"{len(images)} images have features, and {max(copies) + 1} were given")
    return images[list(copies)] if isinstance(images, Tensor) else [images[number] for number in copies]


def _is_one_image(inputs: Mapping[str, Tensor]) -> bool:
    grid = inputs.get("image_grid_thw")
    if grid is not None:
        return len(grid) == 1
    return "pixel_values" in inputs and all(value.ndim and len(value) == 1 for value in inputs.values())
