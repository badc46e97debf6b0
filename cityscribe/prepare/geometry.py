"""Where a box is drawn and what the local view shows: Eq. 3 to 6 of CityLLaVA.

Everything is computed in floats and rounded once, at the very end, when a rectangle becomes pixels: each edge goes to
the nearest pixel border (a half to the even one, as Python and NumPy round). Boxes are `x, y, width, height` in pixels
of the frame, origin at the top left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

XYWH = tuple[float, float, float, float]


class PixelRect(NamedTuple):
    """Pixels of a frame: columns `left` to `right - 1`, rows `top` to `bottom - 1`. Never empty."""

    left: int
    top: int
    right: int
    bottom: int


def is_box(xywh: XYWH) -> bool:
    """Whether numbers make a box at all: finite, with a width and a height. Data sets hold zero-size boxes."""
    return all(math.isfinite(value) for value in xywh) and xywh[2] > 0 and xywh[3] > 0


def in_frame(xywh: XYWH, width: int, height: int) -> bool:
    """Whether some of a box lies within a frame of this size."""
    x, y, w, h = xywh
    return x < width and y < height and x + w > 0 and y + h > 0


def scale_box(xywh: XYWH, factor: float) -> XYWH:
    """Scale a box about its centre: Scale(B, c) of Eq. 3."""
    x, y, w, h = xywh
    return (x + w / 2 - factor * w / 2, y + h / 2 - factor * h / 2, factor * w, factor * h)


def enclosing_box(boxes: Sequence[XYWH]) -> XYWH:
    """The smallest rectangle around boxes: Crop(B_p, B_v) of Eq. 4, for one box the box itself."""
    x_min = min(x for x, _, _, _ in boxes)
    y_min = min(y for _, y, _, _ in boxes)
    x_max = max(x + w for x, _, w, _ in boxes)
    y_max = max(y + h for _, y, _, h in boxes)
    return (x_min, y_min, x_max - x_min, y_max - y_min)


def to_pixels(xywh: XYWH, width: int, height: int) -> PixelRect:
    """Round a box to pixels and clip it to a frame of `width` x `height`: the index ranges of Eq. 6.

    What rounds to nothing, or lies outside, still gets the pixel nearest to it.
    """
    x, y, w, h = xywh
    left, right = _to_range(x, x + w, width)
    top, bottom = _to_range(y, y + h, height)
    return PixelRect(left, top, right, bottom)


def local_view(
    boxes: Sequence[XYWH], width: int, height: int, *, box_scale: float, crop_scale: float, lone_view: float
) -> PixelRect:
    """The part of a frame that the local view shows: Eq. 3 to 6.

    Each annotated box is scaled by `box_scale` (c), what encloses them by `crop_scale` (c*); the result is clipped to
    the frame. From one box alone the view is grown about its centre, and moved into the frame, until its sides are
    `lone_view` of the frame's shorter side: two boxes span the space between two road users, one far pedestrian spans
    a few pixels, which show nothing around it. Without boxes it is the whole frame.
    """
    if not boxes:
        return PixelRect(0, 0, width, height)
    scaled = [scale_box(box, box_scale) for box in boxes]
    view = scale_box(enclosing_box(scaled), crop_scale)
    if len(boxes) == 1:
        least = lone_view * min(width, height)
        x, w = _grow(view[0], view[2], least, width)
        y, h = _grow(view[1], view[3], least, height)
        view = (x, y, w, h)
    # A box of less than a pixel still gets one, which the rounded view may lack.
    rects = [to_pixels(part, width, height) for part in (view, *scaled)]
    return PixelRect(
        min(r.left for r in rects), min(r.top for r in rects), max(r.right for r in rects), max(r.bottom for r in rects)
    )


def _to_range(low: float, high: float, size: int) -> tuple[int, int]:
    start = min(max(round(low), 0), size - 1)
    return start, max(min(round(high), size), start + 1)


def _grow(start: float, length: float, least: float, size: int) -> tuple[float, float]:
    if length >= least:
        return start, length
    return min(max(start + length / 2 - least / 2, 0.0), size - least), least
