"""Where the coloured frames of road users stand in a picture that `prepare` has drawn them on.

A page shows the picture as the model got it. A blue frame on a blue car, or a green one on a lawn, is hard to see
there, so that the page lays a thin white outline beside it; this module finds out where.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cityscribe.prepare.drawing import COLOURS

PURE = 130
"""By how much the colour of a frame leads over the two others; JPEG blurs it, and no paint of a car comes near."""

LONG = 0.6
"""Of the longest row or column of such pixels: one as long as this is a side of the frame."""

CLOSED = 0.8
"""Share of a frame's outline that must be of its colour; less of it was no frame, or is hidden."""

OPEN = 0.5
"""Share of the outline just within a frame that may be of its colour too; where more is, it is a painted surface."""

LEAST = 6
"""Pixels of the shortest side."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The rectangle around a road user: its outer edge in pixels of the picture, and how thick its line is."""

    role: str
    left: int
    top: int
    width: int
    height: int
    line: int


def drawn_frames(picture: np.ndarray, roles: Iterable[str]) -> tuple[Frame, ...]:
    """The frames of road users in a picture (RGB uint8 [height, width, 3]), but for those in doubt."""
    found = (_frame(picture.astype(np.int16), role) for role in roles)
    return tuple(frame for frame in found if frame is not None)


def _frame(picture: np.ndarray, role: str) -> Frame | None:
    channel = int(np.argmax(COLOURS[role]))
    others = np.delete(picture, channel, axis=2).max(axis=2)
    mask = picture[..., channel] - others >= PURE  # [height, width]
    sides = []
    for counts in (mask.sum(axis=0), mask.sum(axis=1)):
        if counts.max(initial=0) < LEAST:
            return None
        places = np.flatnonzero(counts >= LONG * counts.max())
        sides.append((int(places[0]), int(places[-1]), _run(places)))
    (left, right, across), (top, bottom, down) = sides
    width, height, line = right - left + 1, bottom - top + 1, min(across, down)
    if min(width, height) < LEAST:
        return None
    within = line + 1
    inner = _outline(mask[top + within : bottom + 1 - within, left + within : right + 1 - within])
    if _outline(mask[top : bottom + 1, left : right + 1]) < CLOSED or inner > OPEN:
        return None
    return Frame(role, left, top, width, height, line)


def _outline(mask: np.ndarray) -> float:
    """The share of a rectangle's outermost pixels that are set; 0 of an empty one."""
    if not mask.size:
        return 0.0
    return float(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean())


def _run(places: np.ndarray) -> int:
    """How many of the numbers, in order, follow the first without a gap."""
    gaps = np.flatnonzero(np.diff(places) > 1)
    return int(gaps[0]) + 1 if gaps.size else len(places)
