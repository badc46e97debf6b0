from __future__ import annotations

import math

import numpy as np
import pytest

from cityscribe.world.encounter import PHASE_COUNT
from cityscribe.world.event import sample_event
from cityscribe.world.look import VEHICLES
from cityscribe.world.surroundings import WALKING_SPEED

SEEDS = range(40)


@pytest.mark.parametrize("seed", SEEDS)
def test_positions_are_the_integral_of_the_speeds(seed: int) -> None:
    event = sample_event(seed)
    for before in np.linspace(event.boundaries_s[0] + 0.01, event.end_s - 0.02, 23):
        after = before + 1e-3
        if event.phase_at(before) != event.phase_at(after):
            continue
        a, b = event.vehicle_at(before), event.vehicle_at(after)
        assert math.hypot(b.x - a.x, b.y - a.y) / 1e-3 == pytest.approx(event.speed_at(before + 5e-4), abs=0.02)
        p, q = event.person_at(before), event.person_at(after)
        assert math.hypot(q.x - p.x, q.y - p.y) / 1e-3 == pytest.approx(WALKING_SPEED[p.motion], abs=1e-6)


def test_the_pedestrian_ends_in_front_of_the_vehicle_and_never_inside_it() -> None:
    for seed in SEEDS:
        event = sample_event(seed)
        person = event.person_at(event.end_s)
        ahead, left = event.vehicle_at(event.end_s).to_local(person.x, person.y)
        least = {"near miss": 0.5, "collision": 0.2}.get(event.kind, 1.5)
        assert least - 1e-6 < ahead < 5.6 or abs(left) > 1.2
        assert (person.x, person.y) == pytest.approx(event.street.place(*event.meet)[:2])


def test_nobody_walks_through_a_parked_vehicle() -> None:
    for seed in range(120):
        event = sample_event(seed)
        scene = event.scene_at(event.end_s / 2)
        parked = scene.vehicles[len(scene.vehicles) - len(event.parked) :] if event.parked else ()
        for person in (*scene.people[1:], *scene.cyclists):
            for vehicle in parked:
                shape = VEHICLES[vehicle.vehicle.kind]
                ahead, left = vehicle.to_local(person.x, person.y)
                assert not (-shape.length < ahead < 0 and abs(left) < shape.width / 2), seed


def test_equal_seeds_give_equal_events_and_others_differ() -> None:
    assert sample_event(3) == sample_event(3)
    assert len({sample_event(seed) for seed in range(20)}) == 20


def test_phases_follow_each_other() -> None:
    event = sample_event(1)
    assert len(event.boundaries_s) == PHASE_COUNT + 1
    assert list(event.boundaries_s) == sorted(event.boundaries_s)
    assert [event.phase_at(t) for t in event.boundaries_s[:-1]] == list(range(PHASE_COUNT))
