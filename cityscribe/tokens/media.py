"""What a model takes for the images and videos of a conversation, item by item, and the content key of each item.

A content key is the digest of everything that the features of an item are computed from: all tensors that the
processor gives beside the tokens, and the text where the vision path of the model reads it. Features may be shared
exactly where keys are equal; where an item stands in a list plays no part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

POSITION_INPUTS = ("second_per_grid_ts",)
"""What models compute positions from and no features: seconds between the frames of a video (Qwen2.5-VL)."""


@dataclass(frozen=True, slots=True, eq=False)
class MediaItem:
    """One image or video as the model takes it; or all media of a conversation, where they cannot be told apart."""

    key: bytes  # equal exactly where the features are
    inputs: dict[str, Tensor]  # what the model takes for it beside tokens: `pixel_values` and so on


def split_media(inputs: Mapping[str, Tensor], kinds: Sequence[str]) -> list[dict[str, Tensor]]:
    """The inputs of a conversation that shows an "image" or a "video" for each of `kinds`, item by item; in one piece
    where they cannot be divided.

    They can where each tensor has a row for each item of its kind, or as many rows as `image_grid_thw` [images, 3] or
    `video_grid_thw` say (the patches of Qwen-VL). `join_media` of the pieces is what was divided.
    """
    if len(kinds) < 2:
        return [dict(inputs)] if inputs else []
    of_kind = {
        "image": {name: value for name, value in inputs.items() if not _is_of_videos(name)},
        "video": {name: value for name, value in inputs.items() if _is_of_videos(name)},
    }
    pieces = {kind: _divided(named, f"{kind}_grid_thw", kinds.count(kind)) for kind, named in of_kind.items()}
    if any(len(found) != kinds.count(kind) for kind, found in pieces.items()):
        return [dict(inputs)]
    left = {kind: iter(found) for kind, found in pieces.items()}
    return [next(left[kind]) for kind in kinds]


def _is_of_videos(name: str) -> bool:
    return "video" in name or name in POSITION_INPUTS


def _divided(inputs: Mapping[str, Tensor], grid_name: str, items: int) -> list[dict[str, Tensor]]:
    """A dict for each item; another number of them where that cannot be told."""
    if not inputs:
        return []
    if items == 1:
        return [dict(inputs)]
    grid = inputs.get(grid_name)
    counts = grid.prod(dim=1).tolist() if grid is not None and len(grid) == items else [1] * items
    pieces: list[dict[str, Tensor]] = [{} for _ in range(items)]
    for name, value in inputs.items():
        if value.ndim and len(value) == items:
            parts = value.split(1)
        elif value.ndim and len(value) == sum(counts):
            parts = value.split(counts)
        else:
            return []
        for piece, part in zip(pieces, parts, strict=True):
            piece[name] = part
    return pieces


def join_media(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The media of several conversations as one model input: one after the other, padded with zeros where they differ.

    Images are cut into different numbers of tiles. The models whose processors pad them pass over the padding: they
    know the sizes (LLaVA-NeXT and OneVision) or recognise tiles of zeros (SmolVLM). Videos with different numbers of
    frames are padded as well (see `video_frames`).
    """
    if len(parts) == 1:
        return dict(parts[0])
    joined = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        values = [part[name] for part in parts if name in part]
        shape = [max(sizes) for sizes in zip(*(value.shape[1:] for value in values), strict=True)]
        joined[name] = torch.cat([_padded(value, shape) for value in values])
    return joined


def begins(inputs: Mapping[str, Tensor], first: Mapping[str, Tensor]) -> bool:
    """Whether media inputs begin with others: what is shown in later turns is added behind what is shown before."""
    return inputs.keys() == first.keys() and all(
        torch.equal(inputs[name][: len(first[name])], first[name]) for name in first
    )


def video_frames(parts: Sequence[Mapping[str, Tensor]]) -> tuple[int, ...]:
    """How many frames each video of `join_media` really has; empty where they need not be told apart."""
    videos = [part["pixel_values_videos"] for part in parts if "pixel_values_videos" in part]
    frames = tuple(value.shape[1] for value in videos if value.ndim == 5 for _ in range(len(value)))
    return frames if len(set(frames)) > 1 else ()


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
