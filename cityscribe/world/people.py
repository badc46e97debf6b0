"""How people are built: a body of limbs that stands, walks, runs or lies, in its clothes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cityscribe.world.look import CLOTHES_COLOURS, HAIR, RGB, SKIN
from cityscribe.world.scene import PersonState
from cityscribe.world.shapes import Disc, Polygon, Shape, Stroke, darker, direction

GAITS = {"walking": 0.34, "running": 0.62}
"""How far the legs swing, in metres at the knee of a body of 1.75 m, roughly."""
PACK: RGB = (60, 66, 58)
SHOE: RGB = (40, 36, 36)
UP = np.array([0.0, 0.0, 1.0])


def person_parts(state: PersonState) -> list[Shape]:
    """A person of the given height in the pose of its motion, with a head that turns to what it looks at."""
    body = _Body.of(state)
    return [
        *_legs(body),
        *_torso(body),
        *_arms(body),
        *_head(body),
        *(_umbrella(body) if state.person.carried == "umbrella" else []),
    ]


@dataclass(frozen=True, slots=True)
class _Body:
    """A pose, and the frame of the body: metres of a body of 1.75 m, from the point between its feet."""

    state: PersonState
    size: float  # the height in bodies of 1.75 m
    foot: np.ndarray  # on the ground of the scene [x, y, z], metres
    forward: np.ndarray  # unit vectors of the scene
    side: np.ndarray  # to the left
    lean: float  # metres forward for each metre of height
    swing: float  # how far the left leg is ahead, negative where it is behind
    lies: bool
    skin: RGB
    upper: RGB
    lower: RGB

    @classmethod
    def of(cls, state: PersonState) -> _Body:
        person = state.person
        lies = state.motion == "fallen"
        return cls(
            state,
            person.height / 1.75,
            np.array([state.x, state.y, 0.0]),
            direction(state.heading),
            direction(state.heading + math.pi / 2),
            {"walking": 0.03, "running": 0.16}.get(state.motion, 0.0) + (0.10 if person.age == "elderly" else 0.0),
            GAITS.get(state.motion, 0.2 if lies else 0.0) * math.sin(state.stride),
            lies,
            SKIN[person.skin],
            CLOTHES_COLOURS[person.upper_colour],
            CLOTHES_COLOURS[person.lower_colour],
        )

    def at(self, ahead: float, left: float, height: float) -> np.ndarray:
        """A point of the body, in the scene [x, y, z]."""
        if self.lies:
            return self._lying(ahead, left, height, UP)
        return self.foot + self.size * ((ahead + self.lean * height) * self.forward + left * self.side + height * UP)

    def by_head(self, ahead: float, left: float, height: float) -> np.ndarray:
        """As `at`, for what is fixed to the head and to the neck: of somebody who lies, that is on the ground."""
        return self._lying(ahead, left, height, self.upright) if self.lies else self.at(ahead, left, height)

    def _lying(self, ahead: float, left: float, height: float, front: np.ndarray) -> np.ndarray:
        """On the back, the head where the heading points from; `front` is where the front of the body points."""
        return self.foot + self.size * ((0.9 - height) * self.forward + left * self.side + (0.16 + 0.7 * ahead) * front)

    @property
    def upright(self) -> np.ndarray:
        """From the feet to the head, a unit vector of the scene."""
        return -self.forward if self.lies else UP

    def limb(self, start: np.ndarray, end: np.ndarray, radius: float, colour: RGB) -> Stroke:
        """A limb between two points of the scene; the radius is that of a body of 1.75 m."""
        return Stroke(np.stack([start, end]), radius * self.size, colour)


def _legs(body: _Body) -> list[Shape]:
    """Legs and shoes, and the skirt over them."""
    at, limb, state, lower = body.at, body.limb, body.state, body.lower
    parts: list[Shape] = []
    for sign in (-1, 1):
        step = body.swing * sign
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
        bare = state.person.lower in ("shorts", "skirt")
        parts.append(limb(hip, knee, 0.085, lower))
        parts.append(limb(knee, ankle, 0.062, body.skin if bare else lower))
        parts.append(limb(ankle, ankle + body.size * 0.14 * body.forward, 0.05, SHOE))
    if state.person.lower == "skirt":
        for left in (-0.5, 0.5):
            waist, hem = at(0, 0.1 * left, 0.84), at(body.swing * 0.3 * left, 0.26 * left, 0.50)
            parts.append(limb(waist, hem, 0.12, lower))
    return parts


def _torso(body: _Body) -> list[Shape]:
    """The torso in its upper garment, with a backpack where one is carried."""
    at, limb, person, upper = body.at, body.limb, body.state.person, body.upper
    parts: list[Shape] = []
    if person.carried == "backpack":
        parts.append(limb(at(-0.20, 0, 1.02), at(-0.20, 0, 1.30), 0.14, PACK))
    wide = 0.175 if person.upper == "T-shirt" else 0.195
    for flank in (-0.42, 0.42):
        parts.append(limb(at(0, wide * flank, 0.92), at(0, wide * flank, 1.36), wide * 0.62, upper))
    if person.carried == "backpack":  # its straps
        for sign in (-1, 1):
            parts.append(limb(at(0.10, 0.10 * sign, 1.42), at(0.15, 0.10 * sign, 1.06), 0.022, PACK))
    if person.upper == "coat":
        for fold in (-1.0, 0.0, 1.0):
            parts.append(limb(at(0, 0.11 * fold, 0.92), at(body.swing * 0.15, 0.14 * fold, 0.60), 0.11, upper))
    return parts


def _arms(body: _Body) -> list[Shape]:
    """Arms and hands, with the handbag or the phone in them."""
    at, limb, state, size = body.at, body.limb, body.state, body.size
    person = state.person
    parts: list[Shape] = []
    for sign in (-1, 1):
        back = -body.swing * sign * 0.8
        shoulder = at(0, 0.23 * sign, 1.38)
        if state.gaze == "phone" and sign == -1:
            elbow, hand = at(0.06, 0.26 * sign, 1.12), at(0.28, 0.10 * sign, 1.24)
        elif person.carried == "umbrella" and sign == 1:
            elbow, hand = at(0.08, 0.26 * sign, 1.12), at(0.22, 0.16 * sign, 1.36)
        elif state.motion == "running":
            elbow, hand = at(back * 0.5, 0.27 * sign, 1.12), at(back * 0.5 + 0.26, 0.24 * sign, 1.22)
        else:
            elbow, hand = at(back * 0.4, 0.26 * sign, 1.12), at(back * 0.85, 0.26 * sign, 0.88)
        sleeve = body.skin if person.upper == "T-shirt" else body.upper
        parts.append(limb(shoulder, shoulder + (elbow - shoulder) * 0.6, 0.06, body.upper))
        parts.append(limb(shoulder + (elbow - shoulder) * 0.6, elbow, 0.052, sleeve))
        parts.append(limb(elbow, hand, 0.048, sleeve))
        parts.append(Disc(hand[None], 0.05 * size, body.skin))
        if person.carried == "handbag" and sign == 1:
            parts.append(limb(hand - size * 0.12 * UP, hand - size * 0.26 * UP, 0.10, (150, 90, 44)))
        if state.gaze == "phone" and sign == -1:
            phone = hand + size * (0.05 * body.forward + 0.05 * UP)
            parts.append(Disc(phone[None], 0.065 * size, (206, 230, 250)))
    return parts


def _head(body: _Body) -> list[Shape]:
    """Neck, hair, face and cap; the face is turned to what the person looks at."""
    at, limb, person = body.by_head, body.limb, body.state.person
    hair = HAIR[person.hair]
    large = body.size * (1.3 if person.age == "child" else 1.0)  # the head of a child is large for its body
    head, look, across = _head_frame(body)
    up = body.upright
    parts: list[Shape] = [limb(at(0, 0, 1.40), head, 0.06, body.skin)]
    if person.hair_long:  # down the back and, beside the face, over the shoulders
        parts.append(limb(head - large * 0.05 * look, at(-0.07, 0, 1.34), 0.105, hair))
        for sign in (-1, 1):
            parts.append(limb(head + large * 0.09 * sign * across, at(0.05, 0.135 * sign, 1.28), 0.055, hair))
    parts.append(Disc(head[None], 0.125 * large, hair))
    parts.append(Disc((head + large * (0.055 * look - 0.018 * up))[None], 0.098 * large, body.skin))
    for sign in (-1, 1):
        parts.append(Disc((head + large * (0.142 * look + 0.036 * sign * across))[None], 0.014 * large, (30, 24, 24)))
    if person.hat_colour is not None:
        brim = np.stack([head + large * (0.085 * up - 0.06 * look), head + large * (0.085 * up + 0.10 * look)])
        parts.append(Stroke(brim, 0.085 * large, CLOTHES_COLOURS[person.hat_colour], nearer=0.2))
    return parts


def _head_frame(body: _Body) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The middle of the head in the scene, and unit vectors: where it looks, and across the face."""
    state = body.state
    head, look, tilt = body.at(0.02, 0, 1.60), body.forward, 0.0
    if body.lies:
        look = UP
    elif state.gaze == "vehicle":
        toward = np.array([state.gaze_at[0] - state.x, state.gaze_at[1] - state.y, 0.0])
        look = toward / max(float(np.linalg.norm(toward)), 1e-6)
    elif state.gaze == "phone":
        head, tilt = body.at(0.09, 0, 1.56), -0.45
    look = look + np.array([0.0, 0.0, tilt])
    look /= np.linalg.norm(look)
    across = np.cross(body.upright, look)
    across /= max(float(np.linalg.norm(across)), 1e-6)
    return head, look, across


def _umbrella(body: _Body) -> list[Shape]:
    """An open umbrella over the person."""
    hub = body.by_head(0.18, 0.12, 2.02)
    parts: list[Shape] = [body.limb(body.by_head(0.22, 0.16, 1.36), hub, 0.015, (70, 70, 76))]
    ring = [
        hub + body.size * (0.52 * (math.cos(angle) * body.forward + math.sin(angle) * body.side) - 0.16 * body.upright)
        for angle in np.arange(8) * math.pi / 4
    ]
    cloth = (64, 70, 128)
    for i in range(8):
        points = np.stack([hub + body.size * 0.06 * body.upright, ring[i], ring[(i + 1) % 8]])
        parts.append(Polygon(points, darker(cloth, 0.8 + 0.2 * (i % 2)), (0.0, 0.0, 1.0), two_sided=True))
    return parts
