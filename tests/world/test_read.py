"""What a caption of the city states can be read back from it, all of it, and nothing else."""

from functools import cache

import pytest

from cityscribe.world.captions import patterns, pedestrian_caption, vehicle_caption
from cityscribe.world.event import sample_event
from cityscribe.world.facts import facts_at
from cityscribe.world.read import CONTRADICTED, read_caption
from cityscribe.world.rigs import Dashboard
from cityscribe.world.words import PHRASES
from cityscribe.world.worldbench import ATTRIBUTES, attribute_accuracy, majority_values, mean_accuracy

APPEARANCE = set(ATTRIBUTES["pedestrian"]) - {"position", "distance", "facing", "gaze", "motion"}
PEDESTRIAN = {*ATTRIBUTES["pedestrian"], *ATTRIBUTES["scene"]}
VEHICLE = {*APPEARANCE, "position", "distance", *ATTRIBUTES["vehicle"], *ATTRIBUTES["scene"]}


def moments(count):
    """Of every second event as its vehicle's camera sees it."""
    for seed in range(count):
        event = sample_event(seed)
        for start, end in zip(event.boundaries_s, event.boundaries_s[1:], strict=False):
            middle = (start + end) / 2
            yield facts_at(event, middle, [Dashboard().at(event, middle)] if seed % 2 else None)


@cache
def many_moments():
    """Computed once: seeing what a camera sees takes most of the time."""
    return list(moments(150))


@pytest.mark.parametrize("hands", [range(1), range(1, 2), range(2, 40), range(40, 90)], ids=str)
def test_every_caption_states_its_facts_and_no_others(hands):
    for number, facts in enumerate(many_moments()):
        style = hands[number % len(hands)]
        unsaid = {"lanes", "sidewalks"} if facts["road"] == "parking lot" else set()
        speed = {"vehicle_speed_kmh"} if facts["vehicle_action"] == "stopped" else set()
        kind = {"vehicle_kind"} - facts.keys()
        for caption, told in ((pedestrian_caption(facts, style), PEDESTRIAN), (vehicle_caption(facts, style), VEHICLE)):
            assert read_caption(caption) == {name: facts[name] for name in told - unsaid - speed - kind}, caption


def test_every_dimension_has_many_patterns_and_every_hand_its_own():
    assert min(patterns().values()) >= 40
    facts = next(moments(1))
    assert len({pedestrian_caption(facts, hand) for hand in range(60)}) >= 58
    assert pedestrian_caption(facts, 7) == pedestrian_caption(facts, 7)


def test_no_wording_of_a_value_is_part_of_one_of_another():
    for name, tables in PHRASES.items():
        said = [(value, wording) for table in tables for value, wordings in table.items() for wording in wordings]
        for value, wording in said:
            assert not [other for word, other in said if word != value and wording in other], (name, wording)


def test_what_is_said_in_two_ways_is_a_contradiction():
    facts = next(moments(1))
    other = {**facts, "weather": "foggy" if facts["weather"] != "foggy" else "clear"}
    both = f"{pedestrian_caption(facts)} {pedestrian_caption(other)}"
    assert read_caption(both)["weather"] == CONTRADICTED
    assert read_caption(both)["light"] == facts["light"]


def test_text_of_other_kinds_states_nothing():
    assert read_caption("A red car waits at the lights. She is tall.") == {}


def test_accuracy_counts_what_is_wrong_left_out_and_guessed():
    facts = next(moments(1))
    wrong = {**facts, "gaze": "phone" if facts["gaze"] != "phone" else "ahead"}
    reference = pedestrian_caption(facts)
    pairs = [(reference, reference), (reference, pedestrian_caption(wrong)), (reference, "")]
    rows = {row.attribute: row for row in attribute_accuracy(pairs, majority_values([reference]))}
    assert set(rows) == PEDESTRIAN - ({"lanes", "sidewalks"} if facts["road"] == "parking lot" else set())
    assert (rows["gaze"].right, rows["gaze"].omitted, rows["gaze"].majority) == pytest.approx((1 / 3, 1 / 3, 1))
    assert rows["weather"].right == pytest.approx(2 / 3)
    assert mean_accuracy(list(rows.values())) == pytest.approx(2 / 3 - 1 / 3 / len(rows))


def test_the_majority_does_not_depend_on_the_order():
    captions = [pedestrian_caption(facts) for facts in moments(8)]
    assert majority_values(captions) == majority_values(captions[::-1])
