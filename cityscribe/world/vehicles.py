"""How vehicles are built: body, cabin, GLASS, wheels and lamps."""

from __future__ import annotations

import functools
import math

import numpy as np

from cityscribe.world.look import RGB, VEHICLE_COLOURS, VEHICLES
from cityscribe.world.scene import VehicleState
from cityscribe.world.shapes import Polygon, Shape, box_faces, darker, inset

GLASS: RGB = (52, 64, 76)
"""Of the windows of a vehicle; a renderer may let light through."""


@functools.lru_cache(maxsize=64)
def _vehicle_model(kind: str, colour: str, braking: bool, turning: str, lamps: bool) -> tuple[Polygon, ...]:
    """A vehicle in its own frame: x ahead, y to the left, z up, its middle at the origin."""
    shape = VEHICLES[kind]
    paint = VEHICLE_COLOURS[colour]
    half, side = shape.length / 2, shape.width / 2

    def ring(rear: float, front: float, half_width: float, z: float) -> np.ndarray:
        return np.array(
            [[rear, -half_width, z], [front, -half_width, z], [front, half_width, z], [rear, half_width, z]]
        )

    parts: list[Polygon] = []
    body = box_faces(
        ring(-half, half, side, 0.28), ring(-half + 0.06, half - 0.12, side - 0.04, shape.body_height), paint
    )
    parts += body
    by_normal = {"f": body[0], "b": body[1], "l": body[2], "r": body[3]}
    for face in ("l", "r"):
        quad = by_normal[face].points
        parts.append(Polygon(inset(quad, 0.0, 1.0, 0.0, 0.14), darker(paint, 0.45), by_normal[face].normal))
        parts.append(Polygon(inset(quad, 0.06, 0.94, 0.56, 0.60), darker(paint, 0.72), by_normal[face].normal))
        radius = 0.34 if kind in ("sedan", "SUV", "van") else 0.46
        for share in (0.19, 0.81):
            x = -half + share * shape.length
            y = (side + 0.01) * (1 if face == "l" else -1)
            angles = np.arange(14) * 2 * math.pi / 14 * (1 if face == "r" else -1)
            for scale, tone in ((1.0, (26, 26, 28)), (0.55, (150, 152, 156))):
                rim = np.stack(
                    [x + scale * radius * np.cos(angles), np.full(14, y), radius + scale * radius * np.sin(angles)],
                    axis=1,
                )
                parts.append(Polygon(rim, tone, by_normal[face].normal))
    front, rear = by_normal["f"], by_normal["b"]
    beam: RGB = (255, 248, 214) if lamps else (226, 228, 230)
    for x0, x1 in ((0.06, 0.26), (0.74, 0.94)):
        parts.append(Polygon(inset(front.points, x0, x1, 0.48, 0.78), beam, front.normal, emits=lamps))
        brake: RGB = (255, 44, 30) if braking else (150, 22, 22) if not lamps else (200, 26, 24)
        parts.append(Polygon(inset(rear.points, x0, x1, 0.44, 0.80), brake, rear.normal, emits=braking or lamps))
    parts.append(Polygon(inset(front.points, 0.32, 0.68, 0.20, 0.50), (40, 40, 42), front.normal))
    parts.append(Polygon(inset(rear.points, 0.38, 0.62, 0.22, 0.42), (226, 226, 220), rear.normal))
    if turning:
        near = (0.0, 0.07) if turning == "right" else (0.93, 1.0)
        far = (0.93, 1.0) if turning == "right" else (0.0, 0.07)
        parts.append(Polygon(inset(front.points, *near, 0.40, 0.80), (255, 168, 30), front.normal, emits=True))
        parts.append(Polygon(inset(rear.points, *far, 0.40, 0.84), (255, 168, 30), rear.normal, emits=True))
    back, ahead = -half + shape.cabin[0] * shape.length, -half + shape.cabin[1] * shape.length
    if kind == "truck":
        cargo_rear, cargo_front = -half + 0.02, back - 0.1
        cargo = box_faces(
            ring(cargo_rear, cargo_front, side, 0.62),
            ring(cargo_rear, cargo_front, side, shape.height + 0.2),
            (206, 206, 200),
        )
        parts += cargo
        parts.append(Polygon(inset(cargo[1].points, 0.49, 0.51, 0.04, 0.96), (120, 120, 118), cargo[1].normal))
    cabin = box_faces(
        ring(back, ahead, side - 0.04, shape.body_height),
        ring(back + shape.slope[0], ahead - shape.slope[1], side - 0.22, shape.height),
        paint,
        paint,
    )
    parts += cabin
    panes = [(0, 0.06, 0.94), (1, 0.08, 0.92)]
    parts += [Polygon(inset(cabin[i].points, x0, x1, 0.10, 0.90), GLASS, cabin[i].normal) for i, x0, x1 in panes]
    count = {"sedan": 2, "SUV": 3, "van": 2, "truck": 1, "bus": 6}[kind]
    share = {"van": 0.45}.get(kind, 0.0)
    for i in (2, 3):
        for pane in range(count):
            x0 = pane / count + 0.04 / count + 0.03
            x1 = (pane + 1) / count - 0.03
            if share:  # a van's load space has no windows
                span = 1 - share
                x0, x1 = (share + x0 * span, share + x1 * span) if i == 3 else (x0 * span, x1 * span)
            parts.append(Polygon(inset(cabin[i].points, x0, x1, 0.14, 0.88), GLASS, cabin[i].normal))
    return tuple(parts)


@functools.lru_cache(maxsize=128)
def _vehicle_arrays(kind: str, colour: str, braking: bool, turning: str, lamps: bool) -> tuple[np.ndarray, np.ndarray]:
    """The corners of all faces of a model [n, 3] and their normals [faces, 3]."""
    model = _vehicle_model(kind, colour, braking, turning, lamps)
    return np.concatenate([part.points for part in model]), np.array([part.normal for part in model])


def vehicle_parts(state: VehicleState, lamps: bool) -> list[Shape]:
    """The faces of a vehicle where it stands."""
    named = (state.vehicle.kind, state.vehicle.colour, state.braking, state.turning, lamps)
    points, normals = _vehicle_arrays(*named)
    cos, sin = math.cos(state.heading), math.sin(state.heading)
    turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    points = points @ turn + np.array([state.x, state.y, 0.0])
    parts: list[Shape] = []
    start = 0
    for part, normal in zip(_vehicle_model(*named), (normals @ turn).tolist(), strict=True):
        stop = start + len(part.points)
        parts.append(Polygon(points[start:stop], part.colour, tuple(normal), part.emits))
        start = stop
    return parts
