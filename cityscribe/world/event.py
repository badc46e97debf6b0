"""What happens: a traffic event in five phases with real kinematics, sampled from a seed.

An event is the road users, the street and how they move over time; `scene_at` says where everything stands at a moment.
Speeds change linearly between the starts of the phases; positions are their integral, so that a picture, a box and a
speed in a caption never disagree. An event is told along its street (x to the right, y ahead); `Street.place` puts it
on the ground, so that the same event can happen in a bend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from cityscribe.world.look import (
    AGES,
    CARRIED,
    CLOTHES_COLOURS,
    LIGHTS,
    LOWER_GARMENTS,
    ROADS,
    SKIN,
    SPEED_LIMITS,
    UPPER_GARMENTS,
    VEHICLE_COLOURS,
    VEHICLES,
    WEATHERS,
    held_out,
)
from cityscribe.world.scene import CyclistState, Person, PersonState, Prop, Scene, Street, Vehicle, VehicleState

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
WALKING_SPEED = {"standing": 0.0, "walking": 1.3, "running": 3.0, "fallen": 0.0}  # metres a second
CYCLING_SPEED = 4.2


@dataclass(frozen=True, slots=True)
class Passer:
    """Somebody or something in the background that moves steadily."""

    state: PersonState | VehicleState | CyclistState
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


Placed = TypeVar("Placed", bound=PersonState | VehicleState | CyclistState | Prop)


def placed(street: Street, state: Placed) -> Placed:
    """What is told along the street (x to the right of its middle, y ahead), on the ground."""
    if street.bend == 0.0:
        return state
    x, y, turned = street.place(state.x, state.y)
    moved = replace(state, x=x, y=y, heading=state.heading + turned)
    if isinstance(moved, PersonState):
        return replace(moved, gaze_at=street.place(*moved.gaze_at)[:2])
    return moved


def sample_person(rng: np.random.Generator, unseen: bool | None = None) -> Person:
    """Somebody. `unseen` asks for a combination of colours that is held out for tests, or for one that is not."""
    while True:
        person = _sample_person(rng)
        if unseen is None or held_out(person.upper_colour, person.lower_colour) == unseen:
            return person


def _sample_person(rng: np.random.Generator) -> Person:
    sex = str(rng.choice(["male", "female"]))
    age = str(rng.choice(list(AGES), p=[0.22, 0.56, 0.22]))
    height = {"child": 1.20, "elderly": 1.60}.get(age, 1.80 if sex == "male" else 1.60) + float(
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
    rng: np.random.Generator, *, crosswalk_y: float | None = None, junction_y: float | None = None, bends: bool = True
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
    bent = bends and paved and junction_y is None and bool(rng.random() < 0.3)
    bend = float(rng.choice([-1, 1])) / float(rng.uniform(38, 90)) if bent else 0.0
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
        bend,
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


def sample_cyclists(rng: np.random.Generator, street: Street, clear_y: tuple[float, float]) -> tuple[Passer, ...]:
    """Now and then a cyclist at the left edge ahead, or one that comes towards us."""
    if rng.random() > 0.28:
        return ()
    oncoming = street.lanes > 1 and bool(rng.random() < 0.4)
    edge = street.half_width - 0.55
    person = sample_person(rng)
    colour = str(rng.choice(["red", "blue", "green", "black", "white", "yellow"]))
    y = float(clear_y[1] + rng.uniform(2.0, 12.0))
    heading = -math.pi / 2 if oncoming else math.pi / 2
    state = CyclistState(person, colour, edge if oncoming else -edge, y, heading, float(rng.uniform(0, math.tau)))
    return (Passer(state, CYCLING_SPEED if not oncoming else 1.0),)


def sample_parked(
    rng: np.random.Generator, street: Street, clear_y: tuple[float, float], share: float = 0.35
) -> tuple[VehicleState, ...]:
    """Parked vehicles: in the bays of a car park, or at the kerb where nothing happens."""
    parked: list[VehicleState] = []
    if street.road == "parking lot":
        for side in (-1, 1):
            for bay in range(18):
                if rng.random() < 0.45:
                    vehicle = sample_vehicle(rng, ("sedan", "SUV", "van"))
                    x, y = side * (street.half_width + 3.1), -18.0 + 2.8 * bay + 1.46
                    parked.append(VehicleState(vehicle, x, y, 0.0 if rng.random() < 0.5 else math.pi))
        return tuple(parked)
    if street.sidewalks or rng.random() > share:
        return ()
    side = int(rng.choice([-1, 1]))
    y = clear_y[1] + float(rng.uniform(2, 6))
    for _ in range(int(rng.integers(1, 4))):
        vehicle = sample_vehicle(rng, ("sedan", "SUV", "van"))
        y += VEHICLES[vehicle.kind].length / 2
        heading = math.pi / 2 if side < 0 else -math.pi / 2
        parked.append(VehicleState(vehicle, side * (street.half_width + 1.15), y, heading))
        y += VEHICLES[vehicle.kind].length / 2 + float(rng.uniform(0.8, 2.5))
    return tuple(parked)


def sample_moving(
    rng: np.random.Generator,
    street: Street,
    count: int,
    clear_y: tuple[float, float],
    parked: tuple[VehicleState, ...],
) -> tuple[Passer, ...]:
    """All that moves in the background of a street with these parked vehicles."""
    return _out_of_the_way(sample_passers(rng, street, count, clear_y), parked) + sample_cyclists(rng, street, clear_y)


def _out_of_the_way(passers: tuple[Passer, ...], parked: tuple[VehicleState, ...]) -> tuple[Passer, ...]:
    """Without the people who would walk through a parked vehicle: everybody walks along the street."""

    def walks_through(passer: Passer, vehicle: VehicleState) -> bool:
        shape = VEHICLES[vehicle.vehicle.kind]
        half = shape.width / 2 if abs(math.sin(vehicle.heading)) > 0.5 else shape.length / 2
        return isinstance(passer.state, PersonState) and abs(passer.state.x - vehicle.x) < half + 0.4

    return tuple(passer for passer in passers if not any(walks_through(passer, vehicle) for vehicle in parked))


def sample_props(
    rng: np.random.Generator, street: Street, ahead_y: float, signal: str, shares: tuple[float, float, float]
) -> tuple[Prop, ...]:
    """What regulates the traffic ahead. `shares` are the chances of a traffic light where there is a crosswalk or a
    junction, of cones, and of a speed sign; `signal` is what the light shows."""
    props: list[Prop] = []
    if street.road == "parking lot":
        shares = (0.0, shares[1], 0.0)
    edge = -street.half_width - 0.5
    stop = street.crosswalk_y if street.crosswalk_y is not None else street.junction_y
    if stop is not None and rng.random() < shares[0]:
        props.append(Prop("traffic light", edge, stop + 2.6, value=signal))
    if rng.random() < shares[1]:
        y = ahead_y + float(rng.uniform(4, 9))
        x = -street.half_width + float(rng.uniform(0.3, 0.9))
        count = int(rng.integers(2, 6))
        props += [Prop("cone", x + 0.25 * i, y + 1.3 * i) for i in range(count)]
        if rng.random() < 0.5:
            props.append(Prop("barrier", x + 0.8, y + 1.3 * count + 0.6))
    if rng.random() < shares[2]:
        props.append(
            Prop("speed sign", edge, ahead_y + float(rng.uniform(2.5, 8)), value=str(rng.choice(SPEED_LIMITS)))
        )
    return tuple(props)


def sample_event(seed: int, *, start_s: float = 0.5, unseen: bool | None = None, only: str = "") -> Event:
    """An event whose first phase begins `start_s` seconds into its videos. Equal arguments give equal events.

    `unseen` is about the colours of the pedestrian (see `look.held_out`); `only` names a kind of event.
    """
    rng = np.random.default_rng([seed, 1])
    kind = only or str(rng.choice(list(KINDS), p=list(KINDS.values())))
    lengths = rng.uniform(0.45, 0.75, PHASE_COUNT)
    boundaries = tuple(round(float(start_s + v), 3) for v in np.concatenate([[0.0], np.cumsum(lengths)]))
    cruise = float(rng.choice([5, 10, 15, 20] if kind not in ("near miss", "collision") else [15, 20, 25])) / 3.6
    profile = {
        "stop": (1, 1, 0.75, 0.4, 0.0, 0.0),
        "slow": (1, 1, 0.8, 0.6, 0.5, 0.5),
        "steady": (1,) * 6,
        "stopped": (0,) * 6,
        "crash": (1, 1, 0.9, 0.75, 0.35, 0.0),
    }
    weights = {
        "crossing": (0.5, 0.3, 0.0, 0.2, 0.0),
        "waiting": (0.2, 0.2, 0.5, 0.1, 0.0),
        "running out": (0.7, 0.3, 0.0, 0.0, 0.0),
        "stepping out": (0.7, 0.3, 0.0, 0.0, 0.0),
        "near miss": (1.0, 0.0, 0.0, 0.0, 0.0),
        "collision": (0.0, 0.0, 0.0, 0.0, 1.0),
        "normal": (0.0, 0.0, 1.0, 0.0, 0.0),
    }
    choice = str(rng.choice(list(profile), p=weights.get(kind, (0.35, 0.35, 0.2, 0.1, 0.0))))
    if kind == "turning" and choice == "stopped":
        choice = "slow"
    speeds = tuple(cruise * share for share in profile[choice])
    street = sample_street(rng, bends=kind != "turning")
    if kind == "stepping out":  # the vehicles that hide the pedestrian stand at the kerb
        street = replace(street, sidewalks=False, road="residential road", lanes=min(street.lanes, 2))
    turn = str(rng.choice(["left", "right"])) if kind == "turning" else ""
    lane = int(rng.integers(max(1, street.lanes // 2)))
    vehicle, person = sample_vehicle(rng), sample_person(rng, unseen)
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
    last = draft._vehicle_along(draft.end_s)
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
    elif kind == "stepping out":
        heading = last.heading - math.pi / 2 + float(rng.uniform(-0.1, 0.1))  # from the kerb on the left
        motions = ("standing", *[str(rng.choice(["walking", "running"], p=[0.7, 0.3]))] * 3, "standing")
        gazes = ("ahead", "ahead", *(str(g) for g in rng.choice(["vehicle", "ahead"], 3, p=[0.6, 0.4])))
        beside = float(rng.uniform(-0.2, 0.9))
    elif kind == "near miss":
        gap, beside = float(rng.uniform(0.5, 1.1)), float(rng.uniform(-0.7, 0.7))
        motions = (*(str(m) for m in rng.choice(["walking", "running"], 3)), "walking", "standing")
    elif kind == "collision":
        gap, beside = float(rng.uniform(0.2, 0.5)), float(rng.uniform(-0.5, 0.5))
        motions = (*(str(m) for m in rng.choice(["walking", "running"], 4)), "fallen")
        gazes = (*gazes[:4], "ahead")
    elif kind == "normal":
        side = float(rng.choice([-1, 1]))
        beside = -(side * (kerb + 0.6) - last.x)
        heading = last.heading + (0.0 if rng.random() < 0.5 else math.pi)
        motions, gazes = ("walking",) * PHASE_COUNT, ("ahead",) * PHASE_COUNT
    front = gap + shape.length / 2
    meet = (
        last.x + math.cos(last.heading) * front - math.sin(last.heading) * beside,
        last.y + math.sin(last.heading) * front + math.cos(last.heading) * beside,
    )
    crossing = kind in ("crossing", "distracted", "near miss", "collision")
    crosswalk = round(meet[1], 2) if crossing and rng.random() < 0.7 else None
    junction = round(draft._vehicle_along(draft.boundaries_s[2]).y + 7.0, 2) if turn else None
    if street.road == "parking lot":
        crosswalk = junction = None
    street = replace(street, crosswalk_y=crosswalk, junction_y=junction)
    busy = int(rng.choice([0, 1, 2, 3, 5, 6], p=[0.2, 0.15, 0.2, 0.15, 0.15, 0.15]))
    clear = (meet[1] - 2.0, meet[1] + 5.0)
    parked = sample_parked(rng, street, clear)
    if kind == "stepping out":
        parked += _hiding_place(rng, street, meet)
    passers = sample_moving(rng, street, busy, clear, parked)
    signals = {
        "stop": ("green", "green", "yellow", "red", "red"),
        "stopped": ("red",) * PHASE_COUNT,
    }.get(choice, ("green",) * PHASE_COUNT)
    props = sample_props(rng, street, meet[1], signals[0], (0.6, 0.15, 0.3))
    return replace(
        draft,
        street=street,
        motions=motions,
        gazes=gazes,
        heading=heading,
        meet=meet,
        passers=passers,
        parked=parked,
        props=props,
        signals=signals if any(prop.kind == "traffic light" for prop in props) else ("",) * PHASE_COUNT,
    )


def _hiding_place(rng: np.random.Generator, street: Street, meet: tuple[float, float]) -> tuple[VehicleState, ...]:
    """The parked vehicle before the place where somebody steps out, at the kerb on the left."""
    vehicle = sample_vehicle(rng, ("SUV", "van"))
    y = meet[1] - 0.8 - VEHICLES[vehicle.kind].length / 2
    return (VehicleState(vehicle, -street.half_width - 1.15, y, math.pi / 2),)
