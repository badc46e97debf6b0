"""The solid shapes of the city in world metres: people, vehicles, buildings, trees, lamps.

A shape is a list of parts that are drawn in order: `Polygon`s (flat faces, seen from the side that they face),
`Stroke`s (limbs: a line with a radius) and `Disc`s (balls). What the renderer draws is what a box is measured on.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from cityscribe.world.look import CLOTHES_COLOURS, HAIR, RGB, SKIN, VEHICLE_COLOURS, VEHICLES
from cityscribe.world.scene import SIDEWALK_WIDTH, PersonState, Street, VehicleState


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


Part = Polygon | Stroke | Disc | Panes


def _vec(heading: float) -> np.ndarray:
    return np.array([math.cos(heading), math.sin(heading), 0.0])


def _darker(colour: RGB, share: float) -> RGB:
    return (int(colour[0] * share), int(colour[1] * share), int(colour[2] * share))


def person_parts(state: PersonState) -> list[Part]:
    """A person of the given height, standing, walking or running, with a head that turns to what it looks at."""
    person = state.person
    size = person.height / 1.75
    forward, side, up = _vec(state.heading), _vec(state.heading + math.pi / 2), np.array([0.0, 0.0, 1.0])
    foot = np.array([state.x, state.y, 0.0])
    skin = SKIN[person.skin]
    upper, lower = CLOTHES_COLOURS[person.upper_colour], CLOTHES_COLOURS[person.lower_colour]
    hair = HAIR[person.hair]
    lean = {"standing": 0.0, "walking": 0.03, "running": 0.16}[state.motion] + (
        0.10 if person.age == "elderly" else 0.0
    )
    swing: float = {"standing": 0.0, "walking": 0.34, "running": 0.62}[state.motion] * math.sin(state.stride)

    def at(ahead: float, left: float, height: float) -> np.ndarray:
        """A point of the body in its own frame, metres of a body of 1.75 m, leaning with height."""
        return foot + size * ((ahead + lean * height) * forward + left * side + height * up)

    parts: list[Part] = []

    def stroke(a: np.ndarray, b: np.ndarray, radius: float, colour: RGB) -> None:
        parts.append(Stroke(np.stack([a, b]), radius * size, colour))

    shoe = (40, 36, 36)
    for sign in (-1, 1):
        step = swing * sign
        bend = 0.30 * abs(step) + (0.18 if state.motion == "running" and step < 0 else 0.0)
        hip = at(0, 0.09 * sign, 0.88)
        knee = at(step * 0.62 + 0.06 * abs(step), 0.09 * sign, 0.47)
        ankle = at(
            step * 1.15 - bend * (0.6 if step < 0 else 0.0), 0.09 * sign, 0.07 + (0.5 * bend if step < 0 else 0.0)
        )
        bare = person.lower in ("shorts", "skirt")
        stroke(hip, knee, 0.085, lower)
        stroke(knee, ankle, 0.062, skin if bare else lower)
        stroke(ankle, ankle + size * 0.14 * forward, 0.05, shoe)
    if person.lower == "skirt":
        for side_of_skirt in (-0.5, 0.5):
            waist, hem = at(0, 0.1 * side_of_skirt, 0.84), at(swing * 0.3 * side_of_skirt, 0.26 * side_of_skirt, 0.50)
            stroke(waist, hem, 0.12, lower)
    if person.carried == "backpack":
        stroke(at(-0.20, 0, 1.02), at(-0.20, 0, 1.30), 0.14, (60, 66, 58))
    wide = 0.175 if person.upper == "T-shirt" else 0.195
    for flank in (-0.42, 0.42):
        stroke(at(0, wide * flank, 0.92), at(0, wide * flank, 1.36), wide * 0.62, upper)
    if person.upper == "coat":
        for fold in (-1.0, 0.0, 1.0):
            stroke(at(0, 0.11 * fold, 0.92), at(swing * 0.15, 0.14 * fold, 0.60), 0.11, upper)
    for sign in (-1, 1):
        back = -swing * sign * 0.8
        shoulder = at(0, 0.23 * sign, 1.38)
        if state.gaze == "phone" and sign == -1:
            elbow, hand = at(0.06, 0.26 * sign, 1.12), at(0.28, 0.10 * sign, 1.24)
        elif person.carried == "umbrella" and sign == 1:
            elbow, hand = at(0.08, 0.26 * sign, 1.12), at(0.22, 0.16 * sign, 1.36)
        elif state.motion == "running":
            elbow, hand = at(back * 0.5, 0.27 * sign, 1.12), at(back * 0.5 + 0.26, 0.24 * sign, 1.22)
        else:
            elbow, hand = at(back * 0.4, 0.26 * sign, 1.12), at(back * 0.85, 0.26 * sign, 0.88)
        sleeve = skin if person.upper == "T-shirt" else upper
        stroke(shoulder, shoulder + (elbow - shoulder) * 0.6, 0.06, upper)
        stroke(shoulder + (elbow - shoulder) * 0.6, elbow, 0.052, sleeve)
        stroke(elbow, hand, 0.048, sleeve)
        parts.append(Disc(hand[None], 0.05 * size, skin))
        if person.carried == "handbag" and sign == 1:
            stroke(hand - size * 0.12 * up, hand - size * 0.26 * up, 0.10, (150, 90, 44))
        if state.gaze == "phone" and sign == -1:
            parts.append(Disc((hand + size * (0.05 * forward + 0.05 * up))[None], 0.065 * size, (206, 230, 250)))
    head = at(0.02, 0, 1.60)
    look = forward
    tilt = 0.0
    if state.gaze == "vehicle":
        toward = np.array([state.gaze_at[0] - state.x, state.gaze_at[1] - state.y, 0.0])
        look = toward / max(float(np.linalg.norm(toward)), 1e-6)
    elif state.gaze == "phone":
        head, tilt = at(0.09, 0, 1.56), -0.45
    look = look + np.array([0.0, 0.0, tilt])
    look /= np.linalg.norm(look)
    stroke(at(0, 0, 1.40), head, 0.06, skin)
    if person.hair_long:
        stroke(head - size * 0.05 * look, at(-0.07, 0, 1.34), 0.105, hair)
    parts.append(Disc(head[None], 0.125 * size, hair))
    parts.append(Disc((head + size * (0.055 * look - 0.018 * up))[None], 0.098 * size, skin))
    across = np.cross(look, up)
    across /= max(float(np.linalg.norm(across)), 1e-6)
    for sign in (-1, 1):
        parts.append(
            Disc((head + size * (0.142 * look + 0.036 * sign * across + 0.0 * up))[None], 0.014 * size, (30, 24, 24))
        )
    if person.hat_colour is not None:
        hat = CLOTHES_COLOURS[person.hat_colour]
        brim = np.stack([head + size * (0.085 * up - 0.06 * look), head + size * (0.085 * up + 0.10 * look)])
        parts.append(Stroke(brim, 0.085 * size, hat, nearer=0.2))
    if person.carried == "umbrella":
        hub = at(0.18, 0.12, 2.02)
        stroke(at(0.22, 0.16, 1.36), hub, 0.015, (70, 70, 76))
        ring = [
            hub + size * (0.52 * (math.cos(a) * forward + math.sin(a) * side) - 0.16 * up)
            for a in np.arange(8) * math.pi / 4
        ]
        cloth = (64, 70, 128)
        for i in range(8):
            tone = 0.8 + 0.2 * (i % 2)
            points = np.stack([hub + size * 0.06 * up, ring[i], ring[(i + 1) % 8]])
            parts.append(Polygon(points, _darker(cloth, tone), (0.0, 0.0, 1.0), two_sided=True))
    return parts


def _box_faces(
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
        result.append(Polygon(points, colour, _normal(points)))
    return result


def _normal(points: np.ndarray) -> tuple[float, float, float]:
    a, b = points[1] - points[0], points[2] - points[0]
    n = np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
    length = math.sqrt(float(n @ n)) or 1.0
    return (float(n[0] / length), float(n[1] / length), float(n[2] / length))


def _inset(face: np.ndarray, x0: float, x1: float, y0: float, y1: float) -> np.ndarray:
    """A part of a quad [4, 3]: shares along its bottom and up its height."""
    bottom, top = face[1] - face[0], face[2] - face[3]
    corner = [
        face[0] + x * bottom + y * (face[3] + x * top - face[0] - x * bottom)
        for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    ]
    return np.stack(corner)


@functools.lru_cache(maxsize=64)
def _vehicle_model(kind: str, colour: str, braking: bool, turning: str, lamps: bool) -> tuple[Polygon, ...]:
    """A vehicle in its own frame: x ahead, y to the left, z up, its middle at the origin."""
    shape = VEHICLES[kind]
    paint = VEHICLE_COLOURS[colour]
    half, side = shape.length / 2, shape.width / 2
    glass: RGB = (52, 64, 76)

    def ring(rear: float, front: float, half_width: float, z: float) -> np.ndarray:
        return np.array(
            [[rear, -half_width, z], [front, -half_width, z], [front, half_width, z], [rear, half_width, z]]
        )

    parts: list[Polygon] = []
    body = _box_faces(
        ring(-half, half, side, 0.28), ring(-half + 0.06, half - 0.12, side - 0.04, shape.body_height), paint
    )
    parts += body
    by_normal = {"f": body[0], "b": body[1], "l": body[2], "r": body[3]}
    for face in ("l", "r"):
        quad = by_normal[face].points
        parts.append(Polygon(_inset(quad, 0.0, 1.0, 0.0, 0.14), _darker(paint, 0.45), by_normal[face].normal))
        parts.append(Polygon(_inset(quad, 0.06, 0.94, 0.56, 0.60), _darker(paint, 0.72), by_normal[face].normal))
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
        parts.append(Polygon(_inset(front.points, x0, x1, 0.48, 0.78), beam, front.normal, emits=lamps))
        brake: RGB = (255, 44, 30) if braking else (150, 22, 22) if not lamps else (200, 26, 24)
        parts.append(Polygon(_inset(rear.points, x0, x1, 0.44, 0.80), brake, rear.normal, emits=braking or lamps))
    parts.append(Polygon(_inset(front.points, 0.32, 0.68, 0.20, 0.50), (40, 40, 42), front.normal))
    parts.append(Polygon(_inset(rear.points, 0.38, 0.62, 0.22, 0.42), (226, 226, 220), rear.normal))
    if turning:
        near = (0.0, 0.07) if turning == "right" else (0.93, 1.0)
        far = (0.93, 1.0) if turning == "right" else (0.0, 0.07)
        parts.append(Polygon(_inset(front.points, *near, 0.40, 0.80), (255, 168, 30), front.normal, emits=True))
        parts.append(Polygon(_inset(rear.points, *far, 0.40, 0.84), (255, 168, 30), rear.normal, emits=True))
    back, ahead = -half + shape.cabin[0] * shape.length, -half + shape.cabin[1] * shape.length
    if kind == "truck":
        cargo_rear, cargo_front = -half + 0.02, back - 0.1
        cargo = _box_faces(
            ring(cargo_rear, cargo_front, side, 0.62),
            ring(cargo_rear, cargo_front, side, shape.height + 0.2),
            (206, 206, 200),
        )
        parts += cargo
        parts.append(Polygon(_inset(cargo[1].points, 0.49, 0.51, 0.04, 0.96), (120, 120, 118), cargo[1].normal))
    cabin = _box_faces(
        ring(back, ahead, side - 0.04, shape.body_height),
        ring(back + shape.slope[0], ahead - shape.slope[1], side - 0.22, shape.height),
        paint,
        paint,
    )
    parts += cabin
    panes = [(0, 0.06, 0.94), (1, 0.08, 0.92)]
    parts += [Polygon(_inset(cabin[i].points, x0, x1, 0.10, 0.90), glass, cabin[i].normal) for i, x0, x1 in panes]
    count = {"sedan": 2, "SUV": 3, "van": 2, "truck": 1, "bus": 6}[kind]
    share = {"van": 0.45}.get(kind, 0.0)
    for i in (2, 3):
        for pane in range(count):
            x0 = pane / count + 0.04 / count + 0.03
            x1 = (pane + 1) / count - 0.03
            if share:  # a van's load space has no windows
                span = 1 - share
                x0, x1 = (share + x0 * span, share + x1 * span) if i == 3 else (x0 * span, x1 * span)
            parts.append(Polygon(_inset(cabin[i].points, x0, x1, 0.14, 0.88), glass, cabin[i].normal))
    return tuple(parts)


def vehicle_parts(state: VehicleState, lamps: bool) -> list[Part]:
    """The faces of a vehicle where it stands."""
    model = _vehicle_model(state.vehicle.kind, state.vehicle.colour, state.braking, state.turning, lamps)
    cos, sin = math.cos(state.heading), math.sin(state.heading)
    turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    offset = np.array([state.x, state.y, 0.0])
    parts: list[Part] = []
    for part in model:
        nx, ny, nz = part.normal
        normal = (nx * cos - ny * sin, nx * sin + ny * cos, nz)
        parts.append(Polygon(part.points @ turn + offset, part.colour, normal, part.emits))
    return parts


@dataclass(frozen=True, slots=True)
class Fixture:
    """Something that never moves."""

    x: float
    y: float
    reach: float  # metres around x, y that hold all of it
    parts: tuple[Part, ...]


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
    return tuple(result)


def _building(
    side: int, near: float, y: float, length: float, height: float, wall: RGB, night: bool, rng: np.random.Generator
) -> Fixture:
    left, right = sorted((side * near, side * (near + 9.0)))
    base = np.array([[left, y, 0], [right, y, 0], [right, y + length, 0], [left, y + length, 0]], dtype=float)
    faces = _box_faces(base, base + np.array([0, 0, height]), wall, _darker(wall, 0.7))
    parts: list[Part] = list(faces)
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
    parts: list[Part] = [Stroke(np.array([[x, y, 0.0], [x, y, trunk]]), 0.13, (92, 70, 52))]
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
    parts: list[Part] = [
        Stroke(np.array([[x, y, 0.0], [x, y, 5.6]]), 0.06, pole),
        Stroke(np.array([[x, y, 5.6], [arm, y, 5.9]]), 0.05, pole),
        Disc(np.array([[arm, y, 5.82]]), 0.16, (255, 236, 180) if lit else (214, 216, 216), emits=lit),
    ]
    return Fixture(x, y, 2.0, tuple(parts))
