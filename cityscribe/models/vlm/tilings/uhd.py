"""LLaVA-UHD's slices (Guo et al. 2024): as many as the image has times the pixels of a view, on the grid that distorts
them least; a comma between slices and a line break behind each row say where they stand.

The paper gives the tower a slice in its own shape and interpolates positions; here a slice keeps its shape between
borders in the one size that the tower reads.
"""

from __future__ import annotations

import math

from cityscribe.files import InputError
from cityscribe.models.vlm.tilings import TilingView
from cityscribe.models.vlm.tilings.letterbox import Letterbox

BETWEEN, ROW_END = ",", "\n"


class Uhd:
    """`most` slices beside the image as a whole, 6 in the paper."""

    def __init__(self, shape: tuple[int, int], most: int = 6) -> None:
        if most < 1:
            raise InputError(f"most: {most}; expected one or more")
        self.shape = shape
        self.most = most
        self.bordered = Letterbox(shape)

    def count(self, width: int, height: int) -> int:
        rows, columns = self.best(width, height)
        return 1 + (rows * columns if rows * columns > 1 else 0)

    def views(self, width: int, height: int) -> tuple[TilingView, ...]:
        (whole,) = self.bordered.views(width, height)
        rows, columns = self.best(width, height)
        if rows * columns == 1:
            return (whole,)
        across, down = width / columns, height / rows
        ((place),) = (view.place for view in self.bordered.views(max(round(across), 1), max(round(down), 1)))
        slices = (
            TilingView(
                (column * across, row * down, (column + 1) * across, (row + 1) * down),
                place,
                role="tile",
                after=BETWEEN if column + 1 < columns else ROW_END,
            )
            for row in range(rows)
            for column in range(columns)
        )
        return (whole, *slices)

    def best(self, width: int, height: int) -> tuple[int, int]:
        """Rows and columns of slices; 1 and 1 where the image is not cut."""
        ideal = min(math.ceil(width * height / (self.shape[0] * self.shape[1])), self.most)
        if ideal <= 1:
            return 1, 1
        shape = math.log(width / height)
        grids = [
            (count // columns, columns)
            for count in (ideal - 1, ideal, ideal + 1)
            if 1 < count <= self.most
            for columns in range(1, count + 1)
            if count % columns == 0
        ]
        return min(grids, key=lambda grid: abs(shape - math.log(grid[1] / grid[0]))) if grids else (1, 1)
