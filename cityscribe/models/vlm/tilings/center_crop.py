"""The middle of the image as one view that keeps its aspect ratio: CLIP's own images are cut so. What lies outside, the
tower does not see."""

from __future__ import annotations

from cityscribe.models.vlm.tilings import TilingView


class CenterCrop:
    """`shape` is the height and width of a view in pixels."""

    cuts_off = True

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape

    def count(self, width: int, height: int) -> int:
        return 1

    def views(self, width: int, height: int) -> tuple[TilingView, ...]:
        rows, columns = self.shape
        scale = max(columns / width, rows / height)
        across, down = columns / scale, rows / scale
        left, top = (width - across) / 2, (height - down) / 2
        return (TilingView((left, top, left + across, top + down)),)
