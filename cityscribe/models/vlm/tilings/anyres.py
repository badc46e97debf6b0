"""LLaVA-NeXT's AnyRes (Liu et al. 2024): the image as a whole, and tiles of it on the grid that fits it best.

Of the grids the one is taken on which the image keeps most of its pixels; among equal ones, that with the smallest
border. Tiles that would show nothing but border are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from cityscribe.files import InputError
from cityscribe.models.vlm.tilings import TilingView

GRIDS = ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))
"""Rows and columns of tiles, those of LLaVA-NeXT."""


class AnyRes:
    """`shape` is the height and width of a view in pixels; `grids` are rows and columns of tiles."""

    def __init__(self, shape: tuple[int, int], grids: Sequence[Sequence[int]] = GRIDS) -> None:
        self.shape = shape
        self.grids = tuple((int(rows), int(columns)) for rows, columns in grids)
        if not self.grids or min(min(grid) for grid in self.grids) < 1:
            raise InputError(f"grids: {grids}; expected pairs of rows and columns")

    def count(self, width: int, height: int) -> int:
        return len(self.views(width, height))

    def views(self, width: int, height: int) -> tuple[TilingView, ...]:
        rows, columns = self.best(width, height)
        whole = TilingView((0.0, 0.0, float(width), float(height)))
        tiles = (
            self._tile(row, column, rows, columns, width, height) for row in range(rows) for column in range(columns)
        )
        return (whole, *(tile for tile in tiles if tile is not None))

    def best(self, width: int, height: int) -> tuple[int, int]:
        """The grid for an image."""

        def worth(grid: tuple[int, int]) -> tuple[int, int]:
            across, down = self._fitted(grid, width, height, whole=True)
            kept = min(across * down, width * height)
            return kept, kept - grid[0] * self.shape[0] * grid[1] * self.shape[1]

        return max(self.grids, key=worth)

    def _fitted(self, grid: tuple[int, int], width: int, height: int, *, whole: bool = False) -> tuple[int, int]:
        """Width and height of the image on a grid, in pixels: rounded up when it is drawn, down when grids are
        compared, as in the published code."""
        high, wide = grid[0] * self.shape[0], grid[1] * self.shape[1]
        scale = min(wide / width, high / height)
        if whole:
            return int(width * scale), int(height * scale)
        if wide / width < high / height:
            return wide, min(-int(-height * scale // 1), high)
        return min(-int(-width * scale // 1), wide), high

    def _tile(self, row: int, column: int, rows: int, columns: int, width: int, height: int) -> TilingView | None:
        """One tile of the image in the middle of its grid; None where it shows border alone."""
        high, wide = self.shape
        across, down = self._fitted((rows, columns), width, height)
        left, top = (columns * wide - across) // 2, (rows * high - down) // 2
        x1, x2 = (min(max(edge, left), left + across) for edge in (column * wide, (column + 1) * wide))
        y1, y2 = (min(max(edge, top), top + down) for edge in (row * high, (row + 1) * high))
        if x1 >= x2 or y1 >= y2:
            return None
        crop = (
            (x1 - left) * width / across,
            (y1 - top) * height / down,
            (x2 - left) * width / across,
            (y2 - top) * height / down,
        )
        shown = (
            (x1 - column * wide) / wide,
            (y1 - row * high) / high,
            (x2 - column * wide) / wide,
            (y2 - row * high) / high,
        )
        return TilingView(crop, shown, role="tile")
