"""The image at its own scale, in windows of the size that the tower reads, and as a whole before them: nothing is
resized in a window, as where small things tell (PA-LLaVA, Dai et al. 2024, whose connector takes features of every
scale).

An image of more than `most` windows is made smaller until they are enough; one that fits into a window is shown as a
whole alone. Windows at the right and lower edge end with the image, with the mean colour behind it.
"""

from __future__ import annotations

import math

from cityscribe.files import InputError
from cityscribe.models.vlm.tilings import TilingView
from cityscribe.models.vlm.tilings.letterbox import Letterbox


class Native:
    """`shape` is the height and width of a view in pixels; `most` windows beside the image as a whole."""

    def __init__(self, shape: tuple[int, int], most: int = 12) -> None:
        if most < 1:
            raise InputError(f"most: {most}; expected one or more")
        self.shape = shape
        self.most = most
        self.bordered = Letterbox(shape)

    def count(self, width: int, height: int) -> int:
        return len(self.views(width, height))

    def views(self, width: int, height: int) -> tuple[TilingView, ...]:
        (whole,) = self.bordered.views(width, height)
        high, wide = (side * self.scale(width, height) for side in self.shape)  # of a window, in pixels of the image
        rows, columns = math.ceil(height / high), math.ceil(width / wide)
        if rows * columns == 1:
            return (whole,)
        windows = []
        for row in range(rows):
            for column in range(columns):
                left, top = column * wide, row * high
                right, bottom = min(left + wide, width), min(top + high, height)
                place = (0.0, 0.0, (right - left) / wide, (bottom - top) / high)
                windows.append(TilingView((left, top, right, bottom), place, role="tile"))
        return (whole, *windows)

    def scale(self, width: int, height: int) -> float:
        """Pixels of the image in one of a window: 1, or as many as it takes for `most` windows to be enough."""
        needed = 1.0
        while math.ceil(height / (self.shape[0] * needed)) * math.ceil(width / (self.shape[1] * needed)) > self.most:
            needed *= 1.05
        return needed
