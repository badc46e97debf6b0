"""How a pedestrian and a vehicle meet: one branch for each kind of event.

Every event begins as a usual encounter: somebody crosses before the vehicle. Most kinds then change some of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cityscribe.world.scene import VehicleState

KINDS = {
    "crossing": 0.18,
    "waiting": 0.11,
    "running out": 0.10,
    "walking along": 0.11,
    "distracted": 0.11,
    "turning": 0.13,
    "stepping out": 0.10,  # from behind a parked vehicle
    "near miss": 0.08,
    "collision": 0.04,
    "normal": 0.04,  # nothing happens
}
"""Kinds of events and how often each is drawn."""

PHASE_COUNT = 5

SPEED_PROFILES = {
    "stop": (1, 1, 0.75, 0.4, 0.0, 0.0),
    "slow": (1, 1, 0.8, 0.6, 0.5, 0.5),
    "steady": (1,) * 6,
    "stopped": (0,) * 6,
    "crash": (1, 1, 0.9, 0.75, 0.35, 0.0),
}
"""Speeds of the vehicle where phases begin and the last one ends, as shares of its first speed."""

PROFILE_WEIGHTS = {
    "crossing": (0.5, 0.3, 0.0, 0.2, 0.0),
    "waiting": (0.2, 0.2, 0.5, 0.1, 0.0),
    "running out": (0.7, 0.3, 0.0, 0.0, 0.0),
    "stepping out": (0.7, 0.3, 0.0, 0.0, 0.0),
    "near miss": (1.0, 0.0, 0.0, 0.0, 0.0),
    "collision": (0.0, 0.0, 0.0, 0.0, 1.0),
    "normal": (0.0, 0.0, 1.0, 0.0, 0.0),
}
"""How often each of SPEED_PROFILES is drawn, by kind of event; the other kinds have OTHER_WEIGHTS."""
OTHER_WEIGHTS = (0.35, 0.35, 0.2, 0.1, 0.0)


@dataclass(frozen=True, slots=True)
class Encounter:
    """What the pedestrian does, and where it ends relative to the vehicle."""

    gap: float  # metres from the vehicle's front to the pedestrian, at the end of the last phase
    beside: float  # metres to the left of the vehicle's middle, at the same moment
    heading: float  # of the pedestrian, along the street
    motions: tuple[str, ...]  # in each phase
    gazes: tuple[str, ...]

    def place(self, vehicle: VehicleState, length: float) -> tuple[float, float]:
        """Where the pedestrian is at the end, given the vehicle at that moment and its length in metres."""
        front = self.gap + length / 2
        return (
            vehicle.x + math.cos(vehicle.heading) * front - math.sin(vehicle.heading) * self.beside,
            vehicle.y + math.sin(vehicle.heading) * front + math.cos(vehicle.heading) * self.beside,
        )


def sample_speeds(rng: np.random.Generator, kind: str) -> tuple[str, tuple[float, ...]]:
    """One of SPEED_PROFILES, and the vehicle's speeds by it, in metres a second."""
    cruise = float(rng.choice([5, 10, 15, 20] if kind not in ("near miss", "collision") else [15, 20, 25])) / 3.6
    profile = str(rng.choice(list(SPEED_PROFILES), p=PROFILE_WEIGHTS.get(kind, OTHER_WEIGHTS)))
    if kind == "turning" and profile == "stopped":
        profile = "slow"
    return profile, tuple(cruise * share for share in SPEED_PROFILES[profile])


def sample_usual(rng: np.random.Generator) -> Encounter:
    """A usual encounter; its heading is still relative to the vehicle's."""
    gap, beside = float(rng.uniform(1.6, 5.5)), float(rng.uniform(-1.2, 1.2))
    motions = _words(rng.choice(["standing", "walking", "running"], PHASE_COUNT, p=[0.2, 0.65, 0.15]))
    gazes = _words(rng.choice(["vehicle", "ahead"], PHASE_COUNT, p=[0.45, 0.55]))
    return Encounter(gap, beside, float(rng.choice([-1, 1])) * math.pi / 2, motions, gazes)


def sample_encounter(
    rng: np.random.Generator, kind: str, usual: Encounter, vehicle: VehicleState, half_width: float
) -> Encounter:
    """The encounter of a kind of event, from a usual one of `sample_usual`.

    `vehicle` is the vehicle at the end of the last phase; `half_width` the metres from the street's middle to its kerb.
    """
    usual = replace(usual, heading=vehicle.heading + usual.heading + float(rng.uniform(-0.2, 0.2)))
    edge = half_width + float(rng.uniform(0.4, 1.4))
    if kind not in _BRANCHES:
        return usual
    return _BRANCHES[kind](rng, usual, vehicle, edge)


def _words(drawn: np.ndarray) -> tuple[str, ...]:
    return tuple(str(word) for word in drawn)


# In the branches `edge` is a place beside the street, in metres from its middle.


def _waiting(rng: np.random.Generator, usual: Encounter, vehicle: VehicleState, edge: float) -> Encounter:
    """Stands at the edge and faces the street, or turns the back to it."""
    side = float(rng.choice([-1, 1]))
    heading = vehicle.heading + side * math.pi / 2 + (math.pi if rng.random() < 0.15 else 0.0)
    return replace(usual, beside=-(side * edge - vehicle.x), heading=heading, motions=("standing",) * PHASE_COUNT)


def _running_out(rng: np.random.Generator, usual: Encounter, vehicle: VehicleState, edge: float) -> Encounter:
    """Stands for one or two phases, then runs."""
    still = int(rng.integers(1, 3))
    runs = ("running",) * (PHASE_COUNT - 1 - still) + (str(rng.choice(["running", "standing"])),)
    gazes = _words(rng.choice(["vehicle", "ahead"], PHASE_COUNT, p=[0.25, 0.75]))
    return replace(usual, motions=("standing",) * still + runs, gazes=gazes)


def _walking_along(rng: np.random.Generator, usual: Encounter, vehicle: VehicleState, edge: float) -> Encounter:
    """Walks or runs along the edge, one way or the other."""
    side = float(rng.choice([-1, 1]))
    heading = vehicle.heading + (0.0 if rng.random() < 0.5 else math.pi)
    motions = _words(rng.choice(["walking", "running"], p=[0.75, 0.25], size=1)) * PHASE_COUNT
    return replace(usual, beside=-(side * edge - vehicle.x), heading=heading, motions=motions)


def _distracted(rng: np.random.Generator, usual: Encounter, vehicle: VehicleState, edge: float) -> Encounter:
    """Crosses with the eyes on a phone."""
    gazes = ("phone",) * 3 + _words(rng.choice(["phone", "vehicle"], 2))
    return replace(usual, gazes=gazes, motions=tuple("walking" if m == "running" else m for m in usual.motions))


def _stepping_out(rng: np.random.Generator, usual: Encounter, vehicle: VehicleState, edge: float) -> Encounter:
    """Comes from between parked vehicles at the kerb on the left."""
    heading = vehicle.heading - math.pi / 2 + float(rng.uniform(-0.1, 0.1))
    motions = ("standing", *[str(rng.choice(["walking", "running"], p=[0.7, 0.3]))] * 3, "standing")
    gazes = ("ahead", "ahead", *_words(rng.choice(["vehicle", "ahead"], 3, p=[0.6, 0.4])))
    return replace(usual, beside=float(rng.uniform(-0.2, 0.9)), heading=heading, motions=motions, gazes=gazes)


def _near_miss(rng: np.random.Generator, usual: Encounter, vehicle: VehicleState, edge: float) -> Encounter:
    """Crosses; the vehicle stops just before the pedestrian."""
    gap, beside = float(rng.uniform(0.5, 1.1)), float(rng.uniform(-0.7, 0.7))
    motions = (*_words(rng.choice(["walking", "running"], 3)), "walking", "standing")
    return replace(usual, gap=gap, beside=beside, motions=motions)


def _collision(rng: np.random.Generator, usual: Encounter, vehicle: VehicleState, edge: float) -> Encounter:
    """Crosses and is hit."""
    gap, beside = float(rng.uniform(0.2, 0.5)), float(rng.uniform(-0.5, 0.5))
    motions = (*_words(rng.choice(["walking", "running"], 4)), "fallen")
    return replace(usual, gap=gap, beside=beside, motions=motions, gazes=(*usual.gazes[:4], "ahead"))


def _normal(rng: np.random.Generator, usual: Encounter, vehicle: VehicleState, edge: float) -> Encounter:
    """Walks on the sidewalk, one way or the other; nothing happens."""
    side = float(rng.choice([-1, 1]))
    heading = vehicle.heading + (0.0 if rng.random() < 0.5 else math.pi)
    beside = -(side * (edge + 0.6) - vehicle.x)
    return replace(
        usual, beside=beside, heading=heading, motions=("walking",) * PHASE_COUNT, gazes=("ahead",) * PHASE_COUNT
    )


_BRANCHES: dict[str, Callable[[np.random.Generator, Encounter, VehicleState, float], Encounter]] = {
    "waiting": _waiting,
    "running out": _running_out,
    "walking along": _walking_along,
    "distracted": _distracted,
    "stepping out": _stepping_out,
    "near miss": _near_miss,
    "collision": _collision,
    "normal": _normal,
}
