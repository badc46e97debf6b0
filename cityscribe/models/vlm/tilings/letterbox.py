"""The image as one view that keeps its aspect ratio, between borders of the mean colour: LLaVA-1.5 pads so."""

from __future__ import annotations

from cityscribe.models.vlm.tilings import TilingView


class Letterbox:
    """`shape` is the height and width of a view in pixels."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape

    def count(self, width: int, height: int) -> int:
        return 1

    def views(self, width: int, height: int) -> tuple[TilingView, ...]:
        rows, columns = self.shape
        scale = min(columns / width, rows / height)
        across, down = max(round(width * scale), 1), max(round(height * scale), 1)
        left, top = (columns - across) // 2, (rows - down) // 2
        place = (left / columns, top / rows, (left + across) / columns, (top + down) / rows)
        return (TilingView((0.0, 0.0, float(width), float(height)), place),)
