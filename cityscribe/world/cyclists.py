"""How a cyclist is built: a bicycle and who rides it."""

from __future__ import annotations

import math

import numpy as np

from cityscribe.world.look import CLOTHES_COLOURS, HAIR, RGB, SKIN
from cityscribe.world.scene import CyclistState
from cityscribe.world.shapes import Disc, Shape, Stroke, direction

_WHEEL = 0.33  # metres, its radius


def cyclist_parts(state: CyclistState) -> list[Shape]:
    """A bicycle with its rider, who pedals and looks ahead."""
    person = state.person
    forward, left, up = direction(state.heading), direction(state.heading + math.pi / 2), np.array([0.0, 0.0, 1.0])
    foot = np.array([state.x, state.y, 0.0])
    size = person.height / 1.75
    paint = CLOTHES_COLOURS[state.colour]
    parts: list[Shape] = []

    def at(ahead: float, aside: float, height: float) -> np.ndarray:
        return foot + ahead * forward + aside * left + height * up

    def stroke(a: np.ndarray, b: np.ndarray, radius: float, colour: RGB) -> None:
        parts.append(Stroke(np.stack([a, b]), radius, colour))

    for hub in (-0.52, 0.52):
        rim = [
            at(hub + _WHEEL * math.cos(angle), 0.0, _WHEEL + _WHEEL * math.sin(angle))
            for angle in np.arange(10) * math.tau / 10
        ]
        for i in range(10):
            stroke(rim[i], rim[(i + 1) % 10], 0.025, (30, 30, 32))
    pedals, seat, bars = at(-0.04, 0, 0.32), at(-0.22, 0, 0.92), at(0.40, 0, 1.02)
    for a, b in (
        (pedals, seat),
        (seat, at(-0.52, 0, _WHEEL)),
        (pedals, at(-0.52, 0, _WHEEL)),
        (pedals, at(0.38, 0, 0.86)),
        (seat, at(0.38, 0, 0.86)),
        (bars, at(0.52, 0, _WHEEL)),
    ):
        stroke(a, b, 0.028, paint)
    stroke(at(0.40, -0.22, 1.04), at(0.40, 0.22, 1.04), 0.022, (40, 40, 42))
    hip, neck = at(-0.20, 0, 0.98), at(0.04, 0, 0.98 + 0.50 * size)
    upper, lower = CLOTHES_COLOURS[person.upper_colour], CLOTHES_COLOURS[person.lower_colour]
    skin = SKIN[person.skin]
    for sign in (-1, 1):
        angle = state.stride + (math.pi if sign > 0 else 0.0)
        pedal = at(-0.04 + 0.16 * math.cos(angle), 0.10 * sign, 0.32 + 0.16 * math.sin(angle))
        knee = (hip + pedal) / 2 + 0.20 * forward + 0.09 * sign * left + 0.06 * up
        stroke(hip + 0.09 * sign * left, knee, 0.080, lower)
        stroke(knee, pedal, 0.058, skin if person.lower != "trousers" else lower)
        stroke(pedal, pedal + 0.12 * forward, 0.045, (40, 36, 36))
        shoulder, hand = neck + 0.17 * sign * left - 0.06 * up, at(0.40, 0.20 * sign, 1.05)
        elbow = (shoulder + hand) / 2 - 0.06 * up
        stroke(shoulder, elbow, 0.055, upper)
        stroke(elbow, hand, 0.048, skin if person.upper == "T-shirt" else upper)
    for flank in (-0.07, 0.07):
        stroke(hip + flank * left, neck + flank * left - 0.04 * up, 0.115, upper)
    head = neck + 0.20 * up + 0.05 * forward
    stroke(neck, head, 0.06, skin)
    parts.append(Disc((head - 0.03 * forward)[None], 0.125 * size, HAIR[person.hair]))
    parts.append(Disc((head + 0.03 * forward - 0.018 * up)[None], 0.105 * size, skin))
    if person.hat_colour is not None:
        brim = np.stack([head + 0.09 * up - 0.08 * forward, head + 0.09 * up + 0.08 * forward])
        parts.append(Stroke(brim, 0.10 * size, CLOTHES_COLOURS[person.hat_colour], nearer=0.2))
    return parts
