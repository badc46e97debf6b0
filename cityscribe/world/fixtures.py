"""What stands along a street and never moves: buildings, trees, lamps."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np

from cityscribe.world.look import RGB
from cityscribe.world.scene import SIDEWALK_WIDTH, Street
from cityscribe.world.shapes import Disc, Panes, Polygon, Shape, Stroke, box_faces, darker


@dataclass(frozen=True, slots=True)
class Fixture:
    """Something that never moves."""

    x: float
    y: float
    reach: float  # metres around x, y that hold all of it
    parts: tuple[Shape, ...]


_WALLS: tuple[RGB, ...] = (
    (188, 172, 150),
    (160, 110, 88),
    (206, 204, 196),
    (142, 150, 158),
    (176, 152, 120),
    (120, 128, 132),
)


@functools.lru_cache(maxsize=32)
def fixtures(street: Street) -> tuple[Fixture, ...]:
    """Buildings, trees and lamps along a street, from its seed."""
    rng = np.random.default_rng([street.seed, 11])
    result: list[Fixture] = []
    urban = street.road == "urban road"
    edge = street.half_width + (SIDEWALK_WIDTH if street.sidewalks else 0.6)
    set_back = 12.0 if street.road == "parking lot" else 1.5 if urban else 4.0
    for side in (-1, 1):
        y = -28.0
        while y < 95.0:
            length = float(rng.uniform(8, 16))
            height = float(rng.uniform(9, 24) if urban else rng.uniform(4.5, 8.5))
            wall = _WALLS[int(rng.integers(len(_WALLS)))]
            gap = float(rng.uniform(0.6, 2.5) if urban else rng.uniform(3, 8))
            if street.junction_y is None or abs(y + length / 2 - street.junction_y) > 7 + length / 2:
                result.append(_building(side, edge + set_back, y, length, height, wall, street.light == "dark", rng))
            y += length + gap
        for row in np.arange(-22.0, 80.0, 17.0 if urban else 13.0):
            y = float(row + rng.uniform(-3, 3))
            x = side * (edge + (0.5 if urban else float(rng.uniform(1.0, 3.0))))
            if street.junction_y is not None and abs(y - street.junction_y) < 7:
                continue
            result.append(_tree(x, y, rng) if rng.random() < 0.6 else _lamp(x, y, side, street.light != "bright"))
    return tuple(_bent(fixture, street) for fixture in result)


def _bent(fixture: Fixture, street: Street) -> Fixture:
    """A fixture where a street that bends puts it, turned with the street."""
    if street.bend == 0.0:
        return fixture
    x, y, angle = street.place(fixture.x, fixture.y)
    turn = np.array([[math.cos(angle), math.sin(angle), 0], [-math.sin(angle), math.cos(angle), 0], [0, 0, 1.0]])
    before, after = np.array([fixture.x, fixture.y, 0.0]), np.array([x, y, 0.0])
    parts: list[Shape] = []
    for part in fixture.parts:
        points = (part.points - before) @ turn + after
        if isinstance(part, Polygon | Panes):
            nx, ny, nz = np.array(part.normal) @ turn
            parts.append(replace(part, points=points, normal=(float(nx), float(ny), float(nz))))
        else:
            parts.append(replace(part, points=points))
    return Fixture(x, y, fixture.reach, tuple(parts))


def _building(
    side: int, near: float, y: float, length: float, height: float, wall: RGB, night: bool, rng: np.random.Generator
) -> Fixture:
    left, right = sorted((side * near, side * (near + 9.0)))
    base = np.array([[left, y, 0], [right, y, 0], [right, y + length, 0], [left, y + length, 0]], dtype=float)
    faces = box_faces(base, base + np.array([0, 0, height]), wall, darker(wall, 0.7))
    parts: list[Shape] = list(faces)
    for face, across in ((faces[0] if side < 0 else faces[1], length), (faces[3], 9.0)):
        panes = _windows(face.points, max(2, int(across / 3.2)), max(1, int(height / 3.0)))
        lit = rng.random(len(panes)) < (0.35 if night else 0.0)
        for chosen, colour, emits in ((~lit, (74, 88, 102), False), (lit, (250, 214, 140), True)):
            if chosen.any():
                parts.append(Panes(panes[chosen].reshape(-1, 3), colour, face.normal, emits))
    return Fixture((left + right) / 2, y + length / 2, math.hypot(9.0, length) / 2, tuple(parts))


def _windows(wall: np.ndarray, columns: int, rows: int) -> np.ndarray:
    """Windows [n, 4, 3] in rows and columns on an upright wall [4, 3]."""
    across, up = wall[1] - wall[0], wall[3] - wall[0]
    x = (np.arange(columns) + 0.22) / columns
    y = (np.arange(rows) + 0.32) / rows
    corners = np.array([[0, 0], [0.56 / columns, 0], [0.56 / columns, 0.46 / rows], [0, 0.46 / rows]])
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 1, 2) + corners  # [n, 4, 2] shares of the wall
    return wall[0] + grid[..., :1] * across + grid[..., 1:] * up


def _tree(x: float, y: float, rng: np.random.Generator) -> Fixture:
    trunk = float(rng.uniform(1.8, 2.6))
    green = (int(rng.integers(44, 80)), int(rng.integers(96, 136)), int(rng.integers(40, 66)))
    parts: list[Shape] = [Stroke(np.array([[x, y, 0.0], [x, y, trunk]]), 0.13, (92, 70, 52))]
    for _ in range(6):
        centre = np.array([[x, y, trunk + 0.9]]) + rng.normal(0, 0.5, (1, 3)) * np.array([1, 1, 0.7])
        tone = float(rng.uniform(0.8, 1.15))
        parts.append(
            Disc(
                centre,
                float(rng.uniform(0.75, 1.15)),
                (int(green[0] * tone), int(green[1] * tone), int(green[2] * tone)),
            )
        )
    return Fixture(x, y, 2.5, tuple(parts))


def _lamp(x: float, y: float, side: int, lit: bool) -> Fixture:
    pole: RGB = (96, 100, 104)
    arm = x - side * 1.6
    parts: list[Shape] = [
        Stroke(np.array([[x, y, 0.0], [x, y, 5.6]]), 0.06, pole),
        Stroke(np.array([[x, y, 5.6], [arm, y, 5.9]]), 0.05, pole),
        Disc(np.array([[arm, y, 5.82]]), 0.16, (255, 236, 180) if lit else (214, 216, 216), emits=lit),
    ]
    return Fixture(x, y, 2.0, tuple(parts))
