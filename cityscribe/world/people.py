"""How people are built: a body of limbs that stands, walks, runs or lies, in its clothes."""

from __future__ import annotations

import math

import numpy as np

from cityscribe.world.look import CLOTHES_COLOURS, HAIR, RGB, SKIN
from cityscribe.world.scene import PersonState
from cityscribe.world.shapes import Disc, Part, Polygon, Stroke, darker, direction

GAITS = {"walking": 0.34, "running": 0.62}
"""How far the legs swing, in metres at the knee of a body of 1.75 m, roughly."""
PACK: RGB = (60, 66, 58)


def person_parts(state: PersonState) -> list[Part]:
    """A person of the given height in the pose of its motion, with a head that turns to what it looks at."""
    person = state.person
    size = person.height / 1.75
    forward, side, up = direction(state.heading), direction(state.heading + math.pi / 2), np.array([0.0, 0.0, 1.0])
    foot = np.array([state.x, state.y, 0.0])
    skin = SKIN[person.skin]
    upper, lower = CLOTHES_COLOURS[person.upper_colour], CLOTHES_COLOURS[person.lower_colour]
    hair = HAIR[person.hair]
    lean = {"walking": 0.03, "running": 0.16}.get(state.motion, 0.0) + (0.10 if person.age == "elderly" else 0.0)
    swing = GAITS.get(state.motion, 0.2 if state.motion == "fallen" else 0.0) * math.sin(state.stride)
    lies = state.motion == "fallen"

    def at(ahead: float, left: float, height: float) -> np.ndarray:
        """A point of the body in its own frame, metres of a body of 1.75 m, leaning with height."""
        if lies:  # on the back, the head where the heading points from
            return foot + size * ((0.9 - height) * forward + left * side + (0.16 + 0.7 * ahead) * up)
        return foot + size * ((ahead + lean * height) * forward + left * side + height * up)

    parts: list[Part] = []

    def stroke(a: np.ndarray, b: np.ndarray, radius: float, colour: RGB) -> None:
        parts.append(Stroke(np.stack([a, b]), radius * size, colour))

    shoe = (40, 36, 36)
    for sign in (-1, 1):
        step = swing * sign
        bend = 0.30 * abs(step) + (0.18 if state.motion == "running" and step < 0 else 0.0)
        # The leg that swings forward is off the ground, so that a walk shows while the feet pass each other too.
        lift = GAITS.get(state.motion, 0.0) * max(0.0, math.cos(state.stride) * sign)
        hip = at(0, 0.09 * sign, 0.88)
        knee = at(step * 0.62 + 0.06 * abs(step) + 0.34 * lift, 0.09 * sign, 0.47 + 0.12 * lift)
        ankle = at(
            step * 1.15 - bend * (0.6 if step < 0 else 0.0) - 0.20 * lift,
            0.09 * sign,
            0.07 + (0.5 * bend if step < 0 else 0.0) + 0.42 * lift,
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
        stroke(at(-0.20, 0, 1.02), at(-0.20, 0, 1.30), 0.14, PACK)
    wide = 0.175 if person.upper == "T-shirt" else 0.195
    for flank in (-0.42, 0.42):
        stroke(at(0, wide * flank, 0.92), at(0, wide * flank, 1.36), wide * 0.62, upper)
    if person.carried == "backpack":
        for sign in (-1, 1):
            stroke(at(0.10, 0.10 * sign, 1.42), at(0.15, 0.10 * sign, 1.06), 0.022, PACK)
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
    large = size * (1.3 if person.age == "child" else 1.0)  # the head of a child is large for its body
    look = forward
    tilt = 0.0
    if lies:
        look, up = up, -forward
    elif state.gaze == "vehicle":
        toward = np.array([state.gaze_at[0] - state.x, state.gaze_at[1] - state.y, 0.0])
        look = toward / max(float(np.linalg.norm(toward)), 1e-6)
    elif state.gaze == "phone":
        head, tilt = at(0.09, 0, 1.56), -0.45
    look = look + np.array([0.0, 0.0, tilt])
    look /= np.linalg.norm(look)
    across = np.cross(up, look)
    across /= max(float(np.linalg.norm(across)), 1e-6)
    stroke(at(0, 0, 1.40), head, 0.06, skin)
    if person.hair_long:  # down the back and, beside the face, over the shoulders
        stroke(head - large * 0.05 * look, at(-0.07, 0, 1.34), 0.105, hair)
        for sign in (-1, 1):
            stroke(head + large * 0.09 * sign * across, at(0.05, 0.135 * sign, 1.28), 0.055, hair)
    parts.append(Disc(head[None], 0.125 * large, hair))
    parts.append(Disc((head + large * (0.055 * look - 0.018 * up))[None], 0.098 * large, skin))
    for sign in (-1, 1):
        parts.append(Disc((head + large * (0.142 * look + 0.036 * sign * across))[None], 0.014 * large, (30, 24, 24)))
    if person.hat_colour is not None:
        hat = CLOTHES_COLOURS[person.hat_colour]
        brim = np.stack([head + large * (0.085 * up - 0.06 * look), head + large * (0.085 * up + 0.10 * look)])
        parts.append(Stroke(brim, 0.085 * large, hat, nearer=0.2))
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
            parts.append(Polygon(points, darker(cloth, tone), (0.0, 0.0, 1.0), two_sided=True))
    return parts
