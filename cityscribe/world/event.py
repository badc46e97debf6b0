"""What happens: a traffic event in five phases with real kinematics, sampled from a seed.

An event is the road users, the street and how they move over time; `scene_at` says where everything stands at a moment.
Speeds change linearly between the starts of the phases; positions are their integral, so that a picture, a box and a
speed in a caption never disagree. Places of an event are given along its street (x to the right, y ahead);
`Street.place` puts them on the ground, so that the same event can happen in a bend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from cityscribe.world.encounter import KINDS, PHASE_COUNT, sample_encounter, sample_speeds, sample_usual
from cityscribe.world.look import VEHICLES
from cityscribe.world.scene import CyclistState, Person, PersonState, Prop, Scene, Street, Vehicle, VehicleState, placed
from cityscribe.world.surroundings import (
    WALKING_SPEED,
    Passer,
    sample_hiding_place,
    sample_moving,
    sample_parked,
    sample_person,
    sample_props,
    sample_street,
    sample_vehicle,
)

CROSSING = ("crossing", "distracted", "near miss", "collision")
"""Kinds of events that may happen on a crosswalk."""

SIGNALS = {"stop": ("green", "green", "yellow", "red", "red"), "stopped": ("red",) * PHASE_COUNT}
"""What a traffic light shows in each phase, by the speeds of the vehicle; green where nothing is said."""


@dataclass(frozen=True, slots=True)
class Event:
    kind: str
    street: Street
    person: Person
    vehicle: Vehicle
    boundaries_s: tuple[float, ...]  # starts of the five phases and the end of the last
    speeds: tuple[float, ...]  # of the vehicle at the boundaries, metres a second
    lane: int
    turn: str  # "left" | "right" | ""
    turn_radius: float
    motions: tuple[str, ...]  # of the pedestrian in each phase
    gazes: tuple[str, ...]
    heading: float  # of the pedestrian
    meet: tuple[float, float]  # where the pedestrian is at the end of the last phase
    passers: tuple[Passer, ...]
    parked: tuple[VehicleState, ...] = ()
    props: tuple[Prop, ...] = ()
    signals: tuple[str, ...] = ("",) * PHASE_COUNT  # what the traffic light shows in each phase, if there is one

    @property
    def end_s(self) -> float:
        return self.boundaries_s[-1]

    def phase_at(self, time_s: float) -> int:
        return int(np.clip(np.searchsorted(self.boundaries_s, time_s + 1e-9, side="right") - 1, 0, PHASE_COUNT - 1))

    def speed_at(self, time_s: float) -> float:
        """Metres a second."""
        return float(np.interp(time_s, self.boundaries_s, self.speeds))

    def acceleration_at(self, time_s: float) -> float:
        phase = self.phase_at(time_s)
        seconds = self.boundaries_s[phase + 1] - self.boundaries_s[phase]
        return (self.speeds[phase + 1] - self.speeds[phase]) / seconds

    def _travelled(self, time_s: float) -> float:
        """Metres since the first phase began; negative before it."""
        if time_s <= self.boundaries_s[0]:
            return (time_s - self.boundaries_s[0]) * self.speeds[0]
        knots = [b for b in self.boundaries_s if b < time_s] + [min(time_s, self.end_s)]
        speeds = [self.speed_at(t) for t in knots]
        path = sum((b - a) * (u + v) / 2 for a, b, u, v in zip(knots, knots[1:], speeds, speeds[1:], strict=False))
        return path + max(0.0, time_s - self.end_s) * self.speeds[-1]

    def vehicle_at(self, time_s: float) -> VehicleState:
        """The vehicle on the ground."""
        return placed(self.street, self._vehicle_along(time_s))

    def _vehicle_along(self, time_s: float) -> VehicleState:
        """The vehicle goes ahead and, where it turns, follows an arc that begins with the third phase."""
        x, heading = self.street.lane_x(self.lane), math.pi / 2
        y = self._travelled(time_s) / (1.0 + x * self.street.bend)  # a lane outside the middle of a bend is longer
        if self.turn:
            straight = self._travelled(self.boundaries_s[1])
            arc = max(0.0, y - straight)
            sign = 1.0 if self.turn == "left" else -1.0
            angle = min(arc / self.turn_radius, math.radians(75))
            rest = arc - angle * self.turn_radius
            heading = math.pi / 2 + sign * angle
            y = min(y, straight) + self.turn_radius * math.sin(angle) + rest * math.sin(heading)
            x = x - sign * self.turn_radius * (1 - math.cos(angle)) + rest * math.cos(heading)
        braking = self.acceleration_at(time_s) < -0.4 or self.speed_at(time_s) < 0.2
        return VehicleState(self.vehicle, x, y, heading, braking, self.turn)

    def person_at(self, time_s: float) -> PersonState:
        """The pedestrian on the ground, who walks straight, in a bend too."""
        phase = self.phase_at(time_s)
        to_go = 0.0
        for k in range(PHASE_COUNT):
            begin, end = max(self.boundaries_s[k], time_s), self.boundaries_s[k + 1]
            to_go += max(0.0, end - begin) * WALKING_SPEED[self.motions[k]]
        if time_s < self.boundaries_s[0]:
            to_go += (self.boundaries_s[0] - time_s) * WALKING_SPEED[self.motions[0]]
        if time_s > self.end_s:
            to_go -= (time_s - self.end_s) * WALKING_SPEED[self.motions[-1]]
        vehicle = self.vehicle_at(time_s)
        meet_x, meet_y, turned = self.street.place(*self.meet)
        heading = self.heading + turned
        cadence = 6.0 if self.motions[phase] == "walking" else 10.5
        return PersonState(
            self.person,
            meet_x - math.cos(heading) * to_go,
            meet_y - math.sin(heading) * to_go,
            heading,
            self.motions[phase],
            self.gazes[phase],
            (vehicle.x, vehicle.y),
            0.9 + cadence * time_s,
        )

    def scene_at(self, time_s: float) -> Scene:
        people, vehicles, cyclists = [self.person_at(time_s)], [self.vehicle_at(time_s)], []
        for passer in self.passers:
            state, way = passer.state, passer.speed * time_s
            x, y = state.x + math.cos(state.heading) * way, state.y + math.sin(state.heading) * way
            moved = placed(self.street, replace(state, x=x, y=y))
            if isinstance(moved, PersonState):
                people.append(replace(moved, stride=5.5 * time_s))
            elif isinstance(moved, CyclistState):
                cyclists.append(replace(moved, stride=6.0 * time_s))
            else:
                vehicles.append(moved)
        vehicles += [placed(self.street, state) for state in self.parked]
        signal = self.signals[self.phase_at(time_s)]
        props = [
            placed(self.street, replace(prop, value=signal) if prop.kind == "traffic light" else prop)
            for prop in self.props
        ]
        return Scene(self.street, tuple(people), tuple(vehicles), tuple(cyclists), props=tuple(props))


def sample_event(seed: int, *, start_s: float = 0.5, unseen: bool | None = None, only: str = "") -> Event:
    """An event whose first phase begins `start_s` seconds into its videos. Equal arguments give equal events.

    `unseen` is about the colours of the pedestrian (see `look.held_out`); `only` names a kind of event.
    """
    rng = np.random.default_rng([seed, 1])
    kind = only or str(rng.choice(list(KINDS), p=list(KINDS.values())))
    lengths = rng.uniform(0.45, 0.75, PHASE_COUNT)
    boundaries = tuple(round(float(start_s + v), 3) for v in np.concatenate([[0.0], np.cumsum(lengths)]))
    profile, speeds = sample_speeds(rng, kind)
    street = sample_street(rng, bends=kind != "turning")
    if kind == "stepping out":  # the vehicles that hide the pedestrian stand at the kerb
        street = replace(street, sidewalks=False, road="residential road", lanes=min(street.lanes, 2))
    turn = str(rng.choice(["left", "right"])) if kind == "turning" else ""
    lane = int(rng.integers(max(1, street.lanes // 2)))
    vehicle, person = sample_vehicle(rng), sample_person(rng, unseen)
    usual = sample_usual(rng)
    turn_radius = float(rng.uniform(6, 9))
    event = Event(
        kind,
        street,
        person,
        vehicle,
        boundaries,
        speeds,
        lane,
        turn,
        turn_radius,
        usual.motions,
        usual.gazes,
        usual.heading,
        (0.0, 0.0),
        (),
    )
    last = event._vehicle_along(event.end_s)
    encounter = sample_encounter(rng, kind, usual, last, street.half_width)
    event = replace(
        event,
        motions=encounter.motions,
        gazes=encounter.gazes,
        heading=encounter.heading,
        meet=encounter.place(last, VEHICLES[vehicle.kind].length),
    )
    return _with_surroundings(rng, event, SIGNALS.get(profile, ("green",) * PHASE_COUNT))


def _with_surroundings(rng: np.random.Generator, event: Event, signals: tuple[str, ...]) -> Event:
    """The event with a crosswalk or a junction, background traffic, parked vehicles, and signs and lights."""
    at_y = event.meet[1]
    crosswalk = round(at_y, 2) if event.kind in CROSSING and rng.random() < 0.7 else None
    junction = round(event._vehicle_along(event.boundaries_s[2]).y + 7.0, 2) if event.turn else None
    if event.street.road == "parking lot":
        crosswalk = junction = None
    street = replace(event.street, crosswalk_y=crosswalk, junction_y=junction)
    busy = int(rng.choice([0, 1, 2, 3, 5, 6], p=[0.2, 0.15, 0.2, 0.15, 0.15, 0.15]))
    clear = (at_y - 2.0, at_y + 5.0)
    parked = sample_parked(rng, street, clear)
    if event.kind == "stepping out":
        parked += sample_hiding_place(rng, street, event.meet)
    passers = sample_moving(rng, street, busy, clear, parked)
    props = sample_props(rng, street, at_y, signals[0], (0.6, 0.15, 0.3))
    lit = any(prop.kind == "traffic light" for prop in props)
    return replace(
        event,
        street=street,
        passers=passers,
        parked=parked,
        props=props,
        signals=signals if lit else ("",) * PHASE_COUNT,
    )
