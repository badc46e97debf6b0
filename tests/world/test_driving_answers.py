"""What an answer to a driving task says is read from any wording, and references never read alike by chance."""

from __future__ import annotations

import pytest

from cityscribe.world.driving_answers import read_driving
from cityscribe.world.event import sample_event
from cityscribe.world.facts import facts_at, regulation
from cityscribe.world.rigs import Dashboard
from cityscribe.world.sets import KINDS, SetSettings, _Job
from cityscribe.world.tasks import driving_tasks


def test_each_reference_is_read_and_two_that_differ_read_differently() -> None:
    read: dict[tuple[str, frozenset[str]], str] = {}
    for seed in range(12):
        event = sample_event(seed)
        for moment in event.boundaries_s[:-1]:
            scene, camera = event.scene_at(moment), Dashboard().at(event, moment)
            for task in driving_tasks({**facts_at(event, moment, [camera]), **regulation(scene, camera)}):
                said = read_driving(task.name, task.answer)
                assert said is not None, task
                assert read.setdefault((task.name, said), task.answer) == task.answer
    assert len(read) > 8


@pytest.mark.parametrize(
    ("task", "answer", "said"),
    [
        ("traffic light", "I see none.", {"none"}),
        ("traffic light", "Amber, I think", {"yellow"}),
        ("traffic light", "red or green", None),
        ("traffic light", "A street of tall buildings", None),
        ("cones", "No, it is clear.", {"no"}),
        ("cones", "right in the path", None),
        ("speed", "About 030 km/h", {"30"}),
        ("speed", "30 or 50", None),
        ("junction", "A pedestrian at the zebra stripes!", {"crossing", "person"}),
        ("junction", "No junction, but a crosswalk", {"crossing"}),
        ("junction", "nothing", {"none"}),
        ("junction", "A lot of cars can be seen.", None),
        ("weather", "sunny", None),
    ],
)
def test_other_wordings(task: str, answer: str, said: set[str] | None) -> None:
    assert read_driving(task, answer) == (None if said is None else frozenset(said))


def test_views_are_seen_from_a_vehicle_and_ask_the_same_four_tasks() -> None:
    for number in range(3):
        _, camera, facts, tasks = KINDS["driving-views"](_Job("train", number, number, SetSettings("driving-views")))
        assert camera.on_vehicle is not None
        assert tasks == driving_tasks(facts)
