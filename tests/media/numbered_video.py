"""Videos whose every frame shows its own number, so that a test can tell which frame it was given."""

from __future__ import annotations

import numpy as np

BITS = 12
CELL = 8
HEIGHT, WIDTH = 48, (BITS + 2) * CELL


def numbered_frame(number: int) -> np.ndarray:
    """A frame with its number as a row of black and white cells, the lowest bit first."""
    frame = np.full((HEIGHT, WIDTH, 3), 96, np.uint8)
    for bit in range(BITS):
        left = (bit + 1) * CELL
        frame[CELL : 3 * CELL, left : left + CELL] = 235 if number >> bit & 1 else 16
    return frame


def number_of(frame: np.ndarray) -> int:
    """The number that a frame shows."""
    centres = [(bit + 1) * CELL + CELL // 2 for bit in range(BITS)]
    return sum(1 << bit for bit, x in enumerate(centres) if frame[2 * CELL, x - 1 : x + 1].mean() > 128)
