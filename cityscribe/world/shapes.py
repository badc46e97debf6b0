"""What solid shapes are made of, in world metres.

A shape is a list of parts that are drawn in order: `Polygon`s (flat faces, seen from the side that they face),
`Stroke`s (limbs: a line with a radius), `Disc`s (balls) and `Panes` (many small faces in one plane). What a renderer
draws is what a box is measured on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cityscribe.world.look import RGB


@dataclass(frozen=True, slots=True)
class Polygon:
    points: np.ndarray  # [n, 3], counter-clockwise seen from outside
    colour: RGB
    normal: tuple[float, float, float]
    emits: bool = False  # a lamp: its colour needs no light
    two_sided: bool = False


@dataclass(frozen=True, slots=True)
class Stroke:
    points: np.ndarray  # [2, 3]
    radius: float
    colour: RGB
    nearer: float = 0.0  # metres that it is drawn closer than it is: a hat sits on the hair


@dataclass(frozen=True, slots=True)
class Disc:
    points: np.ndarray  # [1, 3]
    radius: float
    colour: RGB
    emits: bool = False


@dataclass(frozen=True, slots=True)
class Panes:
    """Many small faces in one plane that share a colour: the windows of a wall, drawn in one call."""

    points: np.ndarray  # [4 n, 3]
    colour: RGB
    normal: tuple[float, float, float]
    emits: bool = False


Shape = Polygon | Stroke | Disc | Panes


def direction(heading: float) -> np.ndarray:
    return np.array([math.cos(heading), math.sin(heading), 0.0])


def darker(colour: RGB, share: float) -> RGB:
    return (int(colour[0] * share), int(colour[1] * share), int(colour[2] * share))


def box_faces(
    base: np.ndarray, top: np.ndarray, colour: RGB, top_colour: RGB | None = None, faces: str = "fblrt"
) -> list[Polygon]:
    """The faces of a block between two rectangles [4, 3] (rear right, front right, front left, rear left)."""
    rings = {"r": (0, 1), "f": (1, 2), "l": (2, 3), "b": (3, 0)}
    result = []
    for face in faces:
        if face == "t":
            result.append(Polygon(top, top_colour or colour, (0.0, 0.0, 1.0)))
            continue
        i, j = rings[face]
        points = np.stack([base[i], base[j], top[j], top[i]])
        result.append(Polygon(points, colour, normal_of(points)))
    return result


def normal_of(points: np.ndarray) -> tuple[float, float, float]:
    a, b = points[1] - points[0], points[2] - points[0]
    n = np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
    length = math.sqrt(float(n @ n)) or 1.0
    return (float(n[0] / length), float(n[1] / length), float(n[2] / length))


def inset(face: np.ndarray, x0: float, x1: float, y0: float, y1: float) -> np.ndarray:
    """A part of a quad [4, 3]: shares along its bottom and up its height."""
    bottom, top = face[1] - face[0], face[2] - face[3]
    corner = [
        face[0] + x * bottom + y * (face[3] + x * top - face[0] - x * bottom)
        for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    ]
    return np.stack(corner)
