"""What happens: a traffic event in five phases with real kinematics, sampled from a seed.

An event is the road users, the street and how they move over time; `scene_at` says where everything stands at a moment.
Speeds change linearly between the starts of the phases; positions are their integral, so that a picture, a box and a
speed in a caption never disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from cityscribe.world.look import (
    AGES,
    CARRIED,
    CLOTHES_COLOURS,
    LIGHTS,
    LOWER_GARMENTS,
    ROADS,
    SKIN,
    UPPER_GARMENTS,
    VEHICLE_COLOURS,
    VEHICLES,
    WEATHERS,
)
from cityscribe.world.scene import Person, PersonState, Scene, Street, Vehicle, VehicleState

KINDS = ("crossing", "waiting", "running out", "walking along", "distracted", "turning")
PHASE_COUNT = 5
WALKING_SPEED = {"standing": 0.0, "walking": 1.3, "running": 3.0}  # metres a second


@dataclass(frozen=True, slots=True)
class Passer:
    """Somebody or something in the background that moves steadily."""

    state: PersonState | VehicleState
    speed: float


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
        """The vehicle goes north and, where it turns, follows an arc that begins with the third phase."""
        x, y, heading = self.street.lane_x(self.lane), self._travelled(time_s), math.pi / 2
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
        cadence = 6.0 if self.motions[phase] == "walking" else 10.5
        return PersonState(
            self.person,
            self.meet[0] - math.cos(self.heading) * to_go,
            self.meet[1] - math.sin(self.heading) * to_go,
            self.heading,
            self.motions[phase],
            self.gazes[phase],
            (vehicle.x, vehicle.y),
            0.9 + cadence * time_s,
        )

    def scene_at(self, time_s: float) -> Scene:
        people, vehicles = [self.person_at(time_s)], [self.vehicle_at(time_s)]
        for passer in self.passers:
            state, way = passer.state, passer.speed * time_s
            x, y = state.x + math.cos(state.heading) * way, state.y + math.sin(state.heading) * way
            if isinstance(state, PersonState):
                people.append(
                    PersonState(state.person, x, y, state.heading, state.motion, state.gaze, stride=5.5 * time_s)
                )
            else:
                vehicles.append(VehicleState(state.vehicle, x, y, state.heading))
        return Scene(self.street, tuple(people), tuple(vehicles))


def sample_person(rng: np.random.Generator) -> Person:
    sex = str(rng.choice(["male", "female"]))
    age = str(rng.choice(list(AGES), p=[0.22, 0.56, 0.22]))
    height = {"child": 1.20, "elderly": 1.60}.get(age, 1.80 if sex == "male" else 1.62) + float(
        rng.uniform(-0.04, 0.04)
    )
    upper = str(rng.choice(UPPER_GARMENTS))
    lower = str(rng.choice(LOWER_GARMENTS if sex == "female" else LOWER_GARMENTS[:2]))
    colours = [str(c) for c in rng.choice(list(CLOTHES_COLOURS), size=3, replace=False)]
    hair = "gray" if age == "elderly" else str(rng.choice(["black", "brown", "blond"]))
    hat = colours[2] if rng.random() < 0.25 else None
    carried = str(rng.choice(CARRIED, p=[0.5, 0.18, 0.18, 0.14]))
    return Person(
        sex, age, height, int(rng.integers(len(SKIN))), hair, upper, colours[0], lower, colours[1], carried, hat
    )


def sample_vehicle(rng: np.random.Generator, kinds: tuple[str, ...] = tuple(VEHICLES)) -> Vehicle:
    return Vehicle(str(rng.choice(kinds)), str(rng.choice(list(VEHICLE_COLOURS))))


def sample_street(
    rng: np.random.Generator, *, crosswalk_y: float | None = None, junction_y: float | None = None
) -> Street:
    road = str(rng.choice(ROADS, p=[0.5, 0.34, 0.16]))
    lanes = {"urban road": int(rng.choice([2, 2, 4])), "residential road": int(rng.choice([1, 2])), "parking lot": 2}[
        road
    ]
    weather = str(rng.choice(WEATHERS, p=[0.34, 0.30, 0.22, 0.14]))
    light = str(rng.choice(LIGHTS, p=[0.56, 0.24, 0.20]))
    wet = weather == "rainy" or (weather == "cloudy" and bool(rng.random() < 0.3))
    sidewalks = road == "urban road" or (road == "residential road" and bool(rng.random() < 0.4))
    paved = road != "parking lot"
    return Street(
        road,
        lanes,
        sidewalks,
        crosswalk_y if paved else None,
        junction_y if paved else None,
        weather,
        light,
        wet,
        int(rng.integers(2**31)),
    )


def sample_passers(
    rng: np.random.Generator, street: Street, count: int, clear_y: tuple[float, float]
) -> tuple[Passer, ...]:
    """Background traffic: vehicles ahead and oncoming, people on the sidewalks, none where the event takes place."""
    passers = []
    ahead = float(clear_y[1] + rng.uniform(7, 12))
    oncoming = float(clear_y[0] + rng.uniform(4, 16))
    for _ in range(count):
        vehicle = sample_vehicle(rng)
        length = VEHICLES[vehicle.kind].length
        if street.lanes > 1 and rng.random() < 0.6:
            lane = street.lanes - 1
            passers.append(Passer(VehicleState(vehicle, street.lane_x(lane), oncoming + length / 2, -math.pi / 2), 0.5))
            oncoming += length + float(rng.uniform(2.5, 7))
        else:
            lane = int(rng.integers(max(1, street.lanes // 2)))
            passers.append(Passer(VehicleState(vehicle, street.lane_x(lane), ahead + length / 2, math.pi / 2), 1.5))
            ahead += length + float(rng.uniform(2.5, 7))
    for _ in range(int(rng.choice([0, 1, 2], p=[0.5, 0.3, 0.2]))):
        side = int(rng.choice([-1, 1]))
        heading = float(rng.choice([-1, 1])) * math.pi / 2
        person = PersonState(
            sample_person(rng),
            side * (street.half_width + float(rng.uniform(0.8, 2.0))),
            float(clear_y[1] + rng.uniform(4, 14)),
            heading,
            "walking",
            "ahead",
        )
        passers.append(Passer(person, WALKING_SPEED["walking"]))
    return tuple(passers)


def sample_event(seed: int, *, start_s: float = 0.5) -> Event:
    """An event whose first phase begins `start_s` seconds into its videos. Equal seeds give equal events."""
    rng = np.random.default_rng([seed, 1])
    kind = str(rng.choice(KINDS))
    lengths = rng.uniform(0.45, 0.75, PHASE_COUNT)
    boundaries = tuple(round(float(start_s + v), 3) for v in np.concatenate([[0.0], np.cumsum(lengths)]))
    cruise = float(rng.choice([5, 10, 15, 20])) / 3.6
    profile = {
        "stop": (1, 1, 0.75, 0.4, 0.0, 0.0),
        "slow": (1, 1, 0.8, 0.6, 0.5, 0.5),
        "steady": (1,) * 6,
        "stopped": (0,) * 6,
    }
    weights = {"crossing": (0.5, 0.3, 0.0, 0.2), "waiting": (0.2, 0.2, 0.5, 0.1), "running out": (0.7, 0.3, 0.0, 0.0)}
    choice = str(rng.choice(list(profile), p=weights.get(kind, (0.35, 0.35, 0.2, 0.1))))
    if kind == "turning" and choice == "stopped":
        choice = "slow"
    speeds = tuple(cruise * share for share in profile[choice])
    street = sample_street(rng)
    turn = str(rng.choice(["left", "right"])) if kind == "turning" else ""
    lane = int(rng.integers(max(1, street.lanes // 2)))
    vehicle, person = sample_vehicle(rng), sample_person(rng)
    shape = VEHICLES[vehicle.kind]

    gap = float(rng.uniform(1.6, 5.5))  # between the vehicle's front and the pedestrian when it ends
    beside = float(rng.uniform(-1.2, 1.2))
    motions = tuple(str(m) for m in rng.choice(["standing", "walking", "running"], PHASE_COUNT, p=[0.2, 0.65, 0.15]))
    gazes = tuple(str(g) for g in rng.choice(["vehicle", "ahead"], PHASE_COUNT, p=[0.45, 0.55]))
    across = float(rng.choice([-1, 1]))
    draft = Event(
        kind,
        street,
        person,
        vehicle,
        boundaries,
        speeds,
        lane,
        turn,
        float(rng.uniform(6, 9)),
        motions,
        gazes,
        0.0,
        (0, 0),
        (),
    )
    last = draft.vehicle_at(draft.end_s)
    heading = last.heading + across * math.pi / 2 + float(rng.uniform(-0.2, 0.2))
    kerb = street.half_width + float(rng.uniform(0.4, 1.4))
    if kind == "waiting":
        motions = ("standing",) * PHASE_COUNT
        side = float(rng.choice([-1, 1]))
        beside = -(side * kerb - last.x)
        heading = last.heading + side * math.pi / 2 + (math.pi if rng.random() < 0.15 else 0.0)
    elif kind == "running out":
        still = int(rng.integers(1, 3))
        motions = (
            ("standing",) * still
            + ("running",) * (PHASE_COUNT - 1 - still)
            + (str(rng.choice(["running", "standing"])),)
        )
        gazes = tuple(str(g) for g in rng.choice(["vehicle", "ahead"], PHASE_COUNT, p=[0.25, 0.75]))
    elif kind == "walking along":
        side = float(rng.choice([-1, 1]))
        beside = -(side * kerb - last.x)
        heading = last.heading + (0.0 if rng.random() < 0.5 else math.pi)
        motions = tuple(str(m) for m in rng.choice(["walking", "running"], p=[0.75, 0.25], size=1)) * PHASE_COUNT
    elif kind == "distracted":
        gazes = ("phone",) * 3 + tuple(str(g) for g in rng.choice(["phone", "vehicle"], 2))
        motions = tuple("walking" if m == "running" else m for m in motions)
    front = gap + shape.length / 2
    meet = (
        last.x + math.cos(last.heading) * front - math.sin(last.heading) * beside,
        last.y + math.sin(last.heading) * front + math.cos(last.heading) * beside,
    )
    crosswalk = round(meet[1], 2) if kind in ("crossing", "distracted") and rng.random() < 0.7 else None
    junction = round(draft.vehicle_at(draft.boundaries_s[2]).y + 7.0, 2) if turn else None
    if street.road == "parking lot":
        crosswalk = junction = None
    street = replace(street, crosswalk_y=crosswalk, junction_y=junction)
    busy = int(rng.choice([0, 1, 2, 3, 5, 6], p=[0.2, 0.15, 0.2, 0.15, 0.15, 0.15]))
    passers = sample_passers(rng, street, busy, (meet[1] - 2.0, meet[1] + 5.0))
    return replace(draft, street=street, motions=motions, gazes=gazes, heading=heading, meet=meet, passers=passers)
