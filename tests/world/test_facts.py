from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cityscribe.world.captions import pedestrian_caption, vehicle_caption
from cityscribe.world.event import sample_event
from cityscribe.world.facts import distance_band, facing, facts_at, gaze, position, traffic
from cityscribe.world.rigs import Dashboard, Mast
from cityscribe.world.scene import PersonState, Vehicle, VehicleState, dashboard_camera

NORTHBOUND = VehicleState(Vehicle("sedan", "white"), 0.0, 0.0, math.pi / 2)
PERSON = sample_event(0).person


@pytest.mark.parametrize(
    ("x", "y", "word"),
    [
        (0.0, 10.0, "front"),
        (-4.0, 8.0, "front left"),
        (4.0, 8.0, "front right"),
        (-3.0, 0.0, "left"),
        (3.0, -1.0, "right"),
    ],
)
def test_positions_are_seen_from_the_vehicle(x: float, y: float, word: str) -> None:
    assert position(PersonState(PERSON, x, y, 0.0, "standing", "ahead"), NORTHBOUND) == word


@pytest.mark.parametrize(
    ("heading", "word"), [(math.pi / 2, "same"), (-math.pi / 2, "opposite"), (math.pi, "left"), (0.0, "right")]
)
def test_facing_is_relative_to_the_vehicles_direction(heading: float, word: str) -> None:
    assert facing(PersonState(PERSON, 0, 5, heading, "standing", "ahead"), NORTHBOUND) == word


@pytest.mark.parametrize(
    ("heading", "looks", "word"),
    [
        (-math.pi / 2, "ahead", "vehicle"),
        (-math.pi / 2 + 0.5, "ahead", "vehicle"),
        (-math.pi / 2 + 0.6, "ahead", "ahead"),
        (math.pi / 2, "ahead", "ahead"),
        (math.pi / 2, "vehicle", "vehicle"),
        (-math.pi / 2, "phone", "phone"),
    ],
)
def test_who_looks_ahead_at_the_vehicle_looks_at_it(heading: float, looks: str, word: str) -> None:
    assert gaze(PersonState(PERSON, 0, 5, heading, "walking", looks), NORTHBOUND) == word


def test_distance_bands() -> None:
    words = ["near", "near", "close", "close", "far", "far"]
    assert [distance_band(m) for m in (0.0, 3.99, 4.0, 7.99, 8.0, 50.0)] == words


@pytest.mark.parametrize("seed", range(25))
def test_captions_say_what_is_true(seed: int) -> None:
    event = sample_event(seed)
    for time_s in event.boundaries_s[:-1]:
        facts = facts_at(event, time_s)
        about_person, about_vehicle = pedestrian_caption(facts), vehicle_caption(facts)
        for caption in (about_person, about_vehicle):
            assert f"{facts['upper_colour']} {facts['upper']}" in caption
            assert f"{facts['lower_colour']} {facts['lower']}" in caption
            assert f"{facts['height_cm']} cm" in caption
            assert facts["weather"] in caption
            assert facts["surface"] in caption
            assert "{" not in caption
            assert "  " not in caption
        verb = {
            "standing": "stands still",
            "walking": "walking slowly",
            "running": "running quickly",
            "fallen": "lies on the ground",
        }
        assert verb[facts["motion"]] in about_person
        assert f"{facts['vehicle_colour']} {facts['vehicle_kind']}" in about_vehicle
        assert (facts["vehicle_action"] == "stopped") == ("has stopped" in about_vehicle)


def test_speeds_are_those_of_the_event() -> None:
    event = next(e for e in map(sample_event, range(50)) if e.speeds[0] > 3 and not e.turn)
    facts = facts_at(event, event.boundaries_s[0])
    assert abs(int(facts["vehicle_speed_kmh"]) - event.speeds[0] * 3.6) <= 2.5


def test_what_no_camera_sees_is_not_told() -> None:
    event = sample_event(3)
    moment = event.boundaries_s[0]
    own, mast = Dashboard().at(event, moment), Mast(event, np.random.default_rng(0)).at(event, moment)
    assert "vehicle_kind" not in facts_at(event, moment, [own])
    assert facts_at(event, moment, [own, mast])["vehicle_kind"] == event.vehicle.kind
    assert f"The vehicle is {event.vehicle.colour}." in vehicle_caption(facts_at(event, moment, [own]))


def test_traffic_is_what_a_camera_sees_of_it() -> None:
    scene = sample_event(0).scene_at(0.0)
    own = replace(scene, vehicles=(NORTHBOUND,), people=(), cyclists=(), props=())
    camera = dashboard_camera(NORTHBOUND, 0, width=640, height=360, focal=500)
    ahead = [replace(NORTHBOUND, x=4.0 * side, y=16.0 + 7 * row) for row in range(2) for side in (-1, 1)]
    behind = [replace(NORTHBOUND, y=-9.0 * row) for row in range(1, 5)]

    def told(others: list[VehicleState]) -> str:
        return traffic(replace(own, vehicles=(NORTHBOUND, *others)), [camera])

    assert [told(ahead[:count]) for count in range(5)] == ["light", "light", "usual", "usual", "heavy"]
    assert told(behind) == "light"
    assert traffic(replace(own, vehicles=(NORTHBOUND, *behind))) == "heavy"
    hidden = replace(NORTHBOUND, vehicle=Vehicle("bus", "white"), y=12.0), replace(NORTHBOUND, y=24.0)
    assert told([*hidden]) == "light"
    assert told([hidden[0], ahead[0]]) == "usual"
