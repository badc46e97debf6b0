"""Frames of a video in one picture, one below the other: each is a view.

A picture as wide as a view and so many views high is such a strip (`cityscribe.media.thumbnail.strip`); any other is
one view.
"""

from __future__ import annotations

from cityscribe.models.vlm.tilings import TilingView


class Frames:
    """`shape` is the height and width of a view in pixels."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape

    def count(self, width: int, height: int) -> int:
        rows, columns = self.shape
        return height // rows if width == columns and height % rows == 0 else 1

    def views(self, width: int, height: int) -> tuple[TilingView, ...]:
        step = height / self.count(width, height)
        return tuple(
            TilingView((0.0, number * step, float(width), (number + 1) * step), role="frame")
            for number in range(self.count(width, height))
        )
