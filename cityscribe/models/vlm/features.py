"""Features of images that several questions share, and tokens of images where a conversation wants them.

What a frozen tower makes of an image never changes: `FeatureStore` keeps it on disk, for the next question, the next
epoch and the next run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cityscribe.files import InputError, whole_file
from cityscribe.models.vlm.guides import CONTENT, WHOLE


class FeatureStore:
    """Features of views on disk, a file a view, in a folder named by the weights of the towers and their type, and by
    whether class tokens are kept with those of the patches (`with_classes`).

    Pixels that are equal have one file. Files of one store may be read and written by several processes.
    """

    def __init__(self, folder: Path, towers: nn.Module, with_classes: bool = True) -> None:
        digest = hashlib.blake2b(digest_size=12)
        for name, value in towers.state_dict().items():
            digest.update(f"{name} {list(value.shape)} {value.dtype} ".encode() + _digest(value.detach().cpu()))
        self.folder = folder / f"{digest.hexdigest()}{'' if with_classes else '-patches'}"

    def features(
        self, pixel_values: Tensor, compute: Callable[[Tensor], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """As `compute`, which is asked only for what is not there. Raises InputError where the folder cannot be written
        and for a file that is torn."""
        files = [self.folder / f"{_digest(value).hex()}.safetensors" for value in pixel_values.detach().cpu()]
        missing = [row for row, file in enumerate(files) if not file.is_file()]
        if missing:
            self._write([files[row] for row in missing], *compute(pixel_values[missing]))
        try:
            found = [load_file(file) for file in files]
            return tuple(  # type: ignore[return-value]
                torch.stack([each[name] for each in found]).to(pixel_values.device) for name in ("features", "seen")
            )
        except (OSError, SafetensorError, KeyError) as error:
            raise InputError(f"{self.folder}: holds a file that is no features: {error}; remove it") from error

    def _write(self, files: Sequence[Path], features: Tensor, seen: Tensor) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for row, file in enumerate(files):
                value = {"features": features[row].detach().cpu().clone(), "seen": seen[row].detach().cpu().clone()}
                with whole_file(file, shared=True) as partial:
                    save_file(value, partial)
        except (OSError, SafetensorError) as error:
            raise InputError(f"{self.folder}: features cannot be kept there: {error}") from error


def distinct_rows(pixel_values: Tensor) -> tuple[list[int], list[int]]:
    """The rows of `pixel_values` [views, ...] that differ, the first of equal ones, and for each row which that is."""
    known: dict[bytes, int] = {}
    rows: list[int] = []
    numbers = []
    for row, value in enumerate(pixel_values.detach().cpu()):
        number = known.setdefault(_digest(value), len(known))
        if number == len(rows):
            rows.append(row)
        numbers.append(number)
    return rows, numbers


def placed(parts: Tensor, content: Tensor, context: Tensor) -> Tensor:
    """Tokens [tokens, width] view after view: of each what `parts` [views] says, its context tokens first.

    `content` and `context` [views that show such tokens, tokens a view, width].
    """
    has_context, has_content = parts != CONTENT, (parts == CONTENT) | (parts == WHOLE)
    first, second = has_context * context.shape[1], has_content * content.shape[1]  # tokens of each view
    starts = torch.cumsum(first + second, dim=0) - (first + second)
    places = torch.cat(
        [
            _places(starts[has_context], context.shape[1]),
            _places((starts + first)[has_content], content.shape[1]),
        ]
    )
    tokens = torch.cat([context.flatten(0, 1), content.flatten(0, 1)])
    return tokens[torch.argsort(places)]


def with_box_tokens(tokens: Tensor, boxed: Tensor, image_boxes: Tensor, image_views: Tensor) -> Tensor:
    """Tokens [views, count, width] image after image, those of its boxes [boxes, width] behind those of its views.

    `image_boxes` [images, most, 5] as `boxes_by_view` takes them, `image_views` [images].
    """
    counts = are_boxes(image_boxes).sum(dim=1)
    of_images = [part.flatten(0, 1) for part in tokens.split(image_views.tolist())]
    pieces = zip(of_images, boxed.split(counts.tolist()), strict=True)
    return torch.cat([part for pair in pieces for part in pair])


def boxes_by_view(image_boxes: Tensor, image_views: Tensor) -> tuple[Tensor, Tensor]:
    """Of all boxes their view [boxes], numbered through, and their edges [boxes, 4].

    `image_boxes` [images, most, 5]: the view among those of the image, left, top, right and bottom edge in shares of
    that; rows without an area are padding.
    """
    first = image_views.cumsum(0) - image_views
    views = image_boxes[..., 0].long() + first[:, None]
    there = are_boxes(image_boxes)
    return views[there], image_boxes[..., 1:][there]


def are_boxes(image_boxes: Tensor) -> Tensor:
    return image_boxes[..., 3] > image_boxes[..., 1]


def _places(starts: Tensor, count: int) -> Tensor:
    return (starts[:, None] + torch.arange(count, device=starts.device)).flatten()


def _digest(value: Tensor) -> bytes:
    return hashlib.blake2b(value.contiguous().flatten().view(torch.uint8).numpy().data, digest_size=16).digest()
