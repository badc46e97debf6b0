"""The visual prompt: road users marked by coloured rectangles, and where the pedestrian looks by an arrow.

The boxes are drawn once, on the whole frame; the local view is cropped out of the result (section 3.2.2 of CityLLaVA).
The rectangles are painted here pixel by pixel rather than by a drawing library, whose thick lines have round corners
and an extent that depends on its version.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cityscribe.prepare.geometry import XYWH, scale_box, to_pixels
from cityscribe.traffic.scenario import Gaze

GAZE_COLOUR = (255, 0, 0)
GAZE_SHARE = 1 / 6
"""Of the frame's shorter side: the length of the arrow of a gaze across the line of sight of the camera."""

COLOURS = {"vehicle": (0, 0, 255), "pedestrian": (0, 255, 0)}
"""RGB of each road user's rectangle, in the order of painting: the pedestrian's, mostly the smaller, stays on top."""


def draw_boxes(frame: np.ndarray, boxes: Mapping[str, XYWH], *, box_scale: float, line_width: int) -> np.ndarray:
    """A copy of a frame (RGB uint8 [height, width, 3]) with a rectangle around each road user: I-hat of section 3.2.2.

    `boxes` are the annotated ones by role; the rectangle follows the border of the box scaled by `box_scale` (Eq. 3)
    and clipped to the frame. The line lies on that border, `line_width // 2` pixels outside it and the rest inside; at
    the frame's edge it moves inwards, so that it is always `line_width` wide.
    """
    height, width = frame.shape[:2]
    drawn = frame.copy()
    for role, colour in COLOURS.items():
        if role not in boxes:
            continue
        rect = to_pixels(scale_box(boxes[role], box_scale), width, height)
        left, top = max(rect.left - line_width // 2, 0), max(rect.top - line_width // 2, 0)
        right, bottom = min(rect.right + line_width // 2, width), min(rect.bottom + line_width // 2, height)
        drawn[top : min(top + line_width, bottom), left:right] = colour
        drawn[max(bottom - line_width, top) : bottom, left:right] = colour
        drawn[top:bottom, left : min(left + line_width, right)] = colour
        drawn[top:bottom, max(right - line_width, left) : right] = colour
    return drawn


def draw_gaze(frame: np.ndarray, gaze: Gaze, *, line_width: int) -> np.ndarray:
    """A copy of a frame (RGB uint8 [height, width, 3]) with an arrow from the head along the gaze.

    The arrow is the gaze seen along the optical axis: right is right, up is up, and it is the shorter the more the gaze
    points towards the camera or away from it. One that would be shorter than its line is wide is a dot.
    """
    height, width = frame.shape[:2]
    x, y, _ = np.array(gaze.direction) / max(float(np.linalg.norm(gaze.direction)), 1e-9)
    along = GAZE_SHARE * min(width, height) * np.array([x, -y])
    length = float(np.hypot(*along))
    along = along / length if length > line_width else np.array([1.0, 0.0])
    length = length if length > line_width else 0.0
    columns, rows = np.meshgrid(np.arange(width) + 0.5 - gaze.head[0], np.arange(height) + 0.5 - gaze.head[1])
    ahead = columns * along[0] + rows * along[1]  # [height, width], pixels along the arrow from the head
    aside = np.abs(rows * along[0] - columns * along[1])
    tip = min(4.0 * line_width, length)
    shaft = (np.hypot(ahead - np.clip(ahead, 0, length - tip), aside)) <= line_width / 2
    point = (ahead >= length - tip) & (ahead <= length) & (aside <= (length - ahead) / 2)
    drawn = frame.copy()
    drawn[shaft | point] = GAZE_COLOUR
    return drawn
