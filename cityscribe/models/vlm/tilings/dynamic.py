"""Tiles without borders (InternVL 1.5, Chen et al. 2024): the image is stretched over the grid of tiles whose shape
comes nearest to its own, and shown as a whole behind them. With `tags` the text says which tile follows (NVLM, Dai et
al. 2024).
"""

from __future__ import annotations

from cityscribe.files import InputError
from cityscribe.models.vlm.tilings import TilingView

WHOLE_TAG = "<tile_global_thumbnail>"


class Dynamic:
    """`least` to `most` tiles; one alone is the image as a whole."""

    def __init__(self, shape: tuple[int, int], least: int = 1, most: int = 6, tags: bool = False) -> None:
        if not 1 <= least <= most:
            raise InputError(f"least {least}, most {most}: expected 1 <= least <= most")
        self.shape = shape
        self.tags = tags
        sizes = range(1, most + 1)
        grids = {(rows, columns) for rows in sizes for columns in sizes if least <= rows * columns <= most}
        self.grids = sorted(grids, key=lambda grid: (grid[0] * grid[1], grid[1]))

    def count(self, width: int, height: int) -> int:
        rows, columns = self.best(width, height)
        return rows * columns + (rows * columns > 1)

    def views(self, width: int, height: int) -> tuple[TilingView, ...]:
        rows, columns = self.best(width, height)
        whole = TilingView((0.0, 0.0, float(width), float(height)), before=WHOLE_TAG if self.tags else "")
        if rows * columns == 1:
            return (whole,)
        across, down = width / columns, height / rows
        tiles = tuple(
            TilingView(
                (column * across, row * down, (column + 1) * across, (row + 1) * down),
                role="tile",
                before=f"<tile_{row * columns + column + 1}>" if self.tags else "",
            )
            for row in range(rows)
            for column in range(columns)
        )
        return (*tiles, whole)

    def best(self, width: int, height: int) -> tuple[int, int]:
        """Rows and columns whose shape is nearest to that of the image; of equally near ones more tiles, as long as the
        image has half the pixels that they show."""
        chosen, smallest = (1, 1), float("inf")
        high, wide = self.shape
        for rows, columns in self.grids:
            off = abs(width / height - columns / rows)
            if off < smallest or (off == smallest and width * height > 0.5 * high * wide * rows * columns):
                chosen, smallest = (rows, columns), off
        return chosen
