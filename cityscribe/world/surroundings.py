"""What is around an event: people, vehicles, the street, background traffic, parked vehicles, signs and lights.

All places are given along the street: x metres to the right of its middle, y metres ahead (`scene.placed` puts them on
the ground). `clear_y` is the stretch of the street, from y to y, that the event needs for itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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
from cityscribe.world.scene import CyclistState, Person, PersonState, Prop, Street, Vehicle, VehicleState

WALKING_SPEED = {"standing": 0.0, "walking": 1.3, "running": 3.0, "fallen": 0.0}  # metres a second
CYCLING_SPEED = 4.2


@dataclass(frozen=True, slots=True)
class Passer:
    """Somebody or something in the background that moves steadily."""

    state: PersonState | VehicleState | CyclistState
    speed: float


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
    """All that moves in the background: `count` vehicles, some people beside the parked vehicles, cyclists."""
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


def sample_hiding_place(
    rng: np.random.Generator, street: Street, meet: tuple[float, float]
) -> tuple[VehicleState, ...]:
    """The parked vehicle before the place where somebody steps out, at the kerb on the left."""
    vehicle = sample_vehicle(rng, ("SUV", "van"))
    y = meet[1] - 0.8 - VEHICLES[vehicle.kind].length / 2
    return (VehicleState(vehicle, -street.half_width - 1.15, y, math.pi / 2),)
