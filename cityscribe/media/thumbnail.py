"""Several frames as one picture.

Side by side, a video for a model that is shown a single image, without any training (the thumbnail of TS-LLaVA, Qu et
al. 2024, after IG-VLM). Or one below the other, for a model that takes them apart again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image


def equidistant(count: int, wanted: int) -> list[int]:
    """The numbers of `wanted` of `count` things, the first and the last among them; all where there are no more."""
    if wanted >= count:
        return list(range(count))
    if wanted == 1:
        return [count // 2]
    return [round(n * (count - 1) / (wanted - 1)) for n in range(wanted)]


def thumbnail(frames: Sequence[Image.Image]) -> Image.Image:
    """Frames of one size, row by row, in a grid that is as near to a square of frames as their number allows; cells
    that are left over are black."""
    columns = math.ceil(math.sqrt(len(frames)))
    rows = math.ceil(len(frames) / columns)
    width, height = frames[0].size
    picture = Image.new("RGB", (columns * width, rows * height))
    for number, frame in enumerate(frames):
        row, column = divmod(number, columns)
        picture.paste(frame, (column * width, row * height))
    return picture


def strip(frames: Sequence[Image.Image], size: tuple[int, int], cells: int = 0) -> Image.Image:
    """Frames of a height and width, one below the other. With `cells` the thumbnail of so many of them comes first."""
    height, width = size
    shown = [thumbnail([frames[number] for number in equidistant(len(frames), cells)])] if cells else []
    shown += frames
    picture = Image.new("RGB", (width, len(shown) * height))
    for number, frame in enumerate(shown):
        picture.paste(frame.convert("RGB").resize((width, height), Image.Resampling.BICUBIC), (0, number * height))
    return picture
