"""The image as one view, stretched to the shape that the tower reads: nothing is cut off and no token is spent on
borders; the aspect ratio is given up, as CityLLaVA does (section 3.2.2)."""

from __future__ import annotations

from cityscribe.models.vlm.tilings import TilingView


class WholeImage:
    """`shape` is the height and width of a view in pixels."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape

    def count(self, width: int, height: int) -> int:
        return 1

    def views(self, width: int, height: int) -> tuple[TilingView, ...]:
        return (TilingView((0.0, 0.0, float(width), float(height))),)
