"""What stands in the street and tells road users what to do: traffic lights, cones, barriers, speed signs."""

from __future__ import annotations

import math

import numpy as np

from cityscribe.world.look import LIGHT_STATES, RGB
from cityscribe.world.scene import Prop
from cityscribe.world.shapes import Polygon, Shape, Stroke, box_faces, direction, normal_of

_POLE: RGB = (96, 100, 104)
_ORANGE: RGB = (242, 104, 26)
_WHITE: RGB = (240, 240, 236)
_RED: RGB = (206, 30, 36)
_BLACK: RGB = (28, 28, 30)

# Segments of a digit: ends as shares of its width and height; which of them each digit has
_SEGMENTS = (
    ((0, 2), (1, 2)),
    ((1, 2), (1, 1)),
    ((1, 1), (1, 0)),
    ((1, 0), (0, 0)),
    ((0, 0), (0, 1)),
    ((0, 1), (0, 2)),
    ((0, 1), (1, 1)),
)
_DIGITS = {
    "0": (0, 1, 2, 3, 4, 5),
    "2": (0, 1, 6, 4, 3),
    "3": (0, 1, 6, 2, 3),
    "4": (5, 6, 1, 2),
    "5": (0, 5, 6, 2, 3),
    "6": (0, 5, 6, 2, 3, 4),
}


def prop_parts(prop: Prop) -> list[Shape]:
    """The parts of a prop where it stands."""
    return {"traffic light": _traffic_light, "cone": _cone, "barrier": _barrier, "speed sign": _speed_sign}[prop.kind](
        prop
    )


def _frame(prop: Prop) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Its foot, and unit vectors: where its face looks, to the right of who looks at the face, and up."""
    face = direction(prop.heading)
    return np.array([prop.x, prop.y, 0.0]), face, direction(prop.heading + math.pi / 2), np.array([0.0, 0.0, 1.0])


def _traffic_light(prop: Prop) -> list[Shape]:
    """A pole with a head of three lamps of which one is lit."""
    foot, face, right, up = _frame(prop)
    parts: list[Shape] = [Stroke(np.stack([foot, foot + 3.0 * up]), 0.07, _POLE)]
    middle = foot + 3.5 * up
    corners = [middle + a * 0.22 * face + b * 0.24 * right - 0.62 * up for a, b in ((-1, 1), (1, 1), (1, -1), (-1, -1))]
    base = np.stack(corners)
    parts += box_faces(base, base + 1.24 * up, (38, 40, 42))
    for lamp, height in zip(("red", "yellow", "green"), (0.38, 0.0, -0.38), strict=True):
        lit = prop.value == lamp
        colour = LIGHT_STATES[lamp] if lit else (58, 52, 50)
        parts.append(_disc_face(middle + 0.23 * face + height * up, right, up, 0.165, colour, emits=lit))
    return parts


def _cone(prop: Prop) -> list[Shape]:
    foot, _, right, up = _frame(prop)
    parts: list[Shape] = []
    square = [foot + 0.22 * (a * right + b * np.cross(right, up)) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    parts += box_faces(np.stack(square), np.stack(square) + 0.05 * up, _ORANGE)
    for low, high, radius, colour in (
        (0.10, 0.28, 0.135, _ORANGE),
        (0.28, 0.42, 0.105, _WHITE),
        (0.42, 0.56, 0.080, _ORANGE),
        (0.56, 0.68, 0.055, _ORANGE),
    ):
        parts.append(Stroke(np.stack([foot + low * up, foot + high * up]), radius, colour))
    return parts


def _barrier(prop: Prop) -> list[Shape]:
    """A striped board on two feet."""
    foot, face, right, up = _frame(prop)
    parts: list[Shape] = []
    for end in (-0.75, 0.75):
        parts.append(Stroke(np.stack([foot + end * right, foot + end * right + 0.95 * up]), 0.035, _POLE))
    stripes = 6
    for i in range(stripes):
        a, b = -0.9 + 1.8 * i / stripes, -0.9 + 1.8 * (i + 1) / stripes
        board = np.stack([foot + x * right + 0.03 * face + z * up for x, z in ((a, 0.7), (b, 0.7), (b, 1.0), (a, 1.0))])
        parts.append(Polygon(board, _RED if i % 2 else _WHITE, normal_of(board), two_sided=True))
    return parts


def _speed_sign(prop: Prop) -> list[Shape]:
    """A round sign with a red ring and a number; its back is grey."""
    foot, face, right, up = _frame(prop)
    middle = foot + 2.3 * up
    parts: list[Shape] = [Stroke(np.stack([foot, foot + 2.0 * up]), 0.045, _POLE)]
    parts.append(_disc_face(middle - 0.01 * face, -right, up, 0.42, (130, 132, 134)))
    parts.append(_disc_face(middle, right, up, 0.42, _RED))
    parts.append(_disc_face(middle + 0.01 * face, right, up, 0.33, _WHITE))
    width, step, line = 0.16, 0.27, 0.05
    for place, digit in enumerate(prop.value):
        left = (place - (len(prop.value) - 1) / 2) * step - width / 2
        for number in _DIGITS[digit]:
            (x0, z0), (x1, z1) = _SEGMENTS[number]
            ends = sorted([(left + x * width, (z - 1) * 0.18) for x, z in ((x0, z0), (x1, z1))])
            (a, b), (c, d) = ends[0], ends[1]
            low, high = min(b, d) - line / 2, max(b, d) + line / 2
            corners = ((a - line / 2, low), (c + line / 2, low), (c + line / 2, high), (a - line / 2, high))
            bar = np.stack([middle + 0.02 * face + x * right + z * up for x, z in corners])
            parts.append(Polygon(bar, _BLACK, normal_of(bar)))
    return parts


def _disc_face(
    middle: np.ndarray, right: np.ndarray, up: np.ndarray, radius: float, colour: RGB, emits: bool = False
) -> Polygon:
    """A flat round face, counter-clockwise for who has `right` on the right hand."""
    angles = np.arange(16) * math.tau / 16
    points = middle + radius * (np.cos(angles)[:, None] * right + np.sin(angles)[:, None] * up)
    return Polygon(points, colour, normal_of(points), emits)
