"""What a model takes for the images of a conversation, item by item, and the content key of each item.

A content key is the digest of everything that the features of an item are computed from: all tensors that the
processor gives beside the tokens, and the text where the vision path of the model reads it. Features may be shared
exactly where keys are equal; where an item stands in a list of images plays no part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class MediaItem:
    """One image as the model takes it; or all media of a conversation, where they cannot be told apart."""

    key: bytes  # equal exactly where the features are
    inputs: dict[str, Tensor]  # what the model takes for it beside tokens: `pixel_values` and so on


def split_media(inputs: Mapping[str, Tensor], images: int) -> list[dict[str, Tensor]]:
    """The inputs of a conversation with so many images, image by image; in one piece where they cannot be divided.

    They can where each tensor has a row for each image, or as many rows as `image_grid_thw` [images, 3] says (the
    patches of Qwen-VL). `join_media` of the pieces is what was divided.
    """
    if images < 2:
        return [dict(inputs)] if inputs else []
    grid = inputs.get("image_grid_thw")
    counts = grid.prod(dim=1).tolist() if grid is not None and len(grid) == images else [1] * images
    pieces: list[dict[str, Tensor]] = [{} for _ in range(images)]
    for name, value in inputs.items():
        if value.ndim and len(value) == images:
            parts = value.split(1)
        elif value.ndim and len(value) == sum(counts):
            parts = value.split(counts)
        else:
            return [dict(inputs)]
        for piece, part in zip(pieces, parts, strict=True):
            piece[name] = part
    return pieces


def join_media(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The media of several conversations as one model input: one after the other, padded with zeros where they differ.

    Images are cut into different numbers of tiles. The models whose processors pad them pass over the padding: they
    know the sizes (LLaVA-NeXT and OneVision) or recognise tiles of zeros (SmolVLM).
    """
    if len(parts) == 1:
        return dict(parts[0])
    joined = {}
    for name in parts[0] if parts else ():
        values = [part[name] for part in parts]
        shape = [max(sizes) for sizes in zip(*(value.shape[1:] for value in values), strict=True)]
        joined[name] = torch.cat([_padded(value, shape) for value in values])
    return joined


def begins(inputs: Mapping[str, Tensor], first: Mapping[str, Tensor]) -> bool:
    """Whether media inputs begin with others: what is shown in later turns is added behind what is shown before."""
    return inputs.keys() == first.keys() and all(
        torch.equal(inputs[name][: len(first[name])], first[name]) for name in first
    )


def content_key(inputs: Mapping[str, Tensor], text: bytes = b"") -> bytes:
    """The digest of tensors by name, shape, type and value, and of the text that the vision path reads with them."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(inputs):
        value = inputs[name]
        digest.update(f"{name} {list(value.shape)} {value.dtype} ".encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).numpy().data)
    digest.update(text)
    return digest.digest()


def _padded(value: Tensor, shape: Sequence[int]) -> Tensor:
    """`value` with zeros at the end of each axis but the first, up to `shape`."""
    missing = [size - now for size, now in zip(shape, value.shape[1:], strict=True)]
    if not any(missing):
        return value
    return torch.nn.functional.pad(value, [side for count in reversed(missing) for side in (0, count)])
