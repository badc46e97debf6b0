"""How animals are built: a body on legs with neck, head and tail, that stands, walks, runs, eats or lies."""

from __future__ import annotations

import math

import numpy as np

from cityscribe.world.look import ANIMALS, RGB
from cityscribe.world.scene import AnimalState
from cityscribe.world.shapes import Disc, Shape, Stroke, direction


def animal_parts(state: AnimalState) -> list[Shape]:
    """An animal of its species in the pose of its action."""
    shape = ANIMALS[state.species]
    forward, left, up = direction(state.heading), direction(state.heading + math.pi / 2), np.array([0.0, 0.0, 1.0])
    foot = np.array([state.x, state.y, 0.0])
    legs = 0.0 if state.action == "lying" else shape.height - shape.girth
    swing = {"walking": 0.28, "running": 0.60}.get(state.action, 0.0) * math.sin(state.stride)
    parts: list[Shape] = []

    def at(ahead: float, aside: float, height: float) -> np.ndarray:
        return foot + ahead * forward + aside * left + height * up

    def stroke(a: np.ndarray, b: np.ndarray, radius: float, colour: RGB) -> None:
        parts.append(Stroke(np.stack([a, b]), radius, colour))

    middle, half = legs + shape.girth, shape.length / 2
    for end in (-1, 1) if not shape.wings else (0,):
        for sign in (-1, 1):
            hip = at(end * half * 0.85, sign * shape.girth * 0.6, middle - shape.girth * 0.3)
            if legs == 0.0:
                stroke(hip, at(end * half * 0.85 + 0.18, sign * shape.girth, 0.04), 0.05, shape.colour)
                continue
            step = swing * sign * (end or 1) * legs
            knee = at(end * half * 0.85 + step * 0.5 - 0.04 * legs, sign * shape.girth * 0.6, legs * 0.5)
            stroke(hip, knee, max(0.02, shape.girth * 0.26), shape.colour)
            hoof = at(end * half * 0.85 + step, sign * shape.girth * 0.6, 0.03)
            stroke(knee, hoof, max(0.016, shape.girth * 0.18), shape.colour)
    bounce = 0.06 * shape.height * math.sin(2 * state.stride) if state.action == "running" else 0.0
    rump, chest = at(-half, 0, middle + bounce), at(half, 0, middle + bounce)
    stroke(rump - 0.2 * shape.girth * up, chest - 0.2 * shape.girth * up, shape.girth * 0.9, shape.belly)
    stroke(rump + 0.12 * shape.girth * up, chest + 0.12 * shape.girth * up, shape.girth * 0.92, shape.colour)
    wave = 0.25 * math.sin(state.stride)
    lift = 0.9 if state.species in ("cat", "dog") else -0.7
    tail = rump + shape.tail * (-0.75 * forward + lift * 0.6 * up + wave * left)
    stroke(rump + 0.4 * shape.girth * up, tail, max(0.02, shape.girth * 0.16), shape.belly)
    reach = -0.75 if state.action == "eating" else 0.55 if shape.neck < 0.3 else 0.95
    head = chest + shape.neck * (0.75 * forward + reach * up) + 0.3 * shape.girth * up
    if state.action == "eating":
        head = chest + np.array([0.0, 0.0, max(0.08 - middle, -shape.neck - shape.girth)]) + 0.7 * shape.neck * forward
    stroke(chest + 0.25 * shape.girth * up, head, shape.girth * 0.42, shape.colour)
    parts.append(Disc(head[None], shape.head, shape.colour))
    stroke(head, head + shape.head * (1.5 * forward - 0.35 * up), shape.head * 0.55, shape.belly)
    for sign in (-1, 1):
        crown = head + shape.head * (0.75 * up + 0.45 * sign * left)
        if shape.horns:
            stroke(crown, crown + shape.head * (1.4 * up + 0.7 * sign * left), shape.head * 0.14, (226, 214, 190))
        elif not shape.wings:
            stroke(crown, crown + 0.6 * shape.head * up, shape.head * 0.24, shape.colour)
        parts.append(
            Disc((head + shape.head * (0.75 * forward + 0.45 * sign * left))[None], shape.head * 0.14, (20, 18, 18))
        )
    return parts
