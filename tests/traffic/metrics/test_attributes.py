"""Reading captions into facts: all that is stated, nothing that is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.traffic.metrics.attributes import (
    UNCLEAR,
    agrees,
    attributes,
    read_attributes,
    sentence_counts,
    unread_sentences,
)
from cityscribe.world.captions import pedestrian_caption, vehicle_caption
from cityscribe.world.event import sample_event
from cityscribe.world.facts import facts_at

ROOT = Path(__file__).parents[2]

PEDESTRIAN = (
    "A woman in her early 40s, 160 cm tall, wears a navy blue jacket on her upper body, grey short pants and a white "
    "hat. She stands still diagonally to the left, in front of the vehicle, with her body oriented in the opposite "
    "direction to the vehicle, and is rather far from it. Her line of sight is on the road surface. Although she has "
    "almost noticed the car, she prepares to wait. The weather was clear but the brightness was dim. The surface was "
    "frozen and level. There were no sidewalks on both sides of this main road with one-way traffic and three lanes. "
    "It was a weekday with light traffic."
)
VEHICLE = (
    "The vehicle is positioned behind and to the right of the pedestrian, who is close to it. The driver cannot see "
    "the pedestrian. The vehicle is about to start, with a speed of 0 km/h."
)


def test_the_wording_of_wts_is_read() -> None:
    assert read_attributes(PEDESTRIAN) == {
        **{"sex": "female", "age": "40s", "height": "160 cm", "upper": "jacket", "upper_colour": "navy blue"},
        **{"lower": "shorts", "lower_colour": "gray", "headwear": "hat", "headwear_colour": "white"},
        **{"position": "front left", "distance": "far", "orientation": "opposite", "gaze": "road surface"},
        **{"awareness": "almost aware", "motion": "standing", "weather": "clear", "light": "dim", "surface": "icy"},
        **{"slope": "level", "road": "main road", "lanes": "3", "traffic_direction": "one-way", "sidewalks": "none"},
        **{"traffic": "light", "day": "weekday"},
    }
    assert read_attributes(VEHICLE) == {
        **{"vehicle_position": "behind right", "distance": "close", "visibility": "hidden"},
        **{"vehicle_action": "about to start", "vehicle_speed": "0 km/h"},
    }


@pytest.mark.parametrize(
    ("caption", "attribute"),
    [
        ("He closely watched the far side of the lane, in a bright red jacket.", "light"),
        ("He pays close attention.", "distance"),
        ("The driver has a clear view.", "weather"),
        ("There is a risk of a collision.", "collision"),
        ("The vehicle is neither quick nor slow; he waits.", "vehicle_action"),
        ("The vehicle is driven by a male in his car.", "sex"),
        ("The brightness level was low.", "slope"),
        ("He is aware of his surroundings.", "awareness"),
    ],
    ids=["light", "distance", "weather", "collision", "action", "driver", "level", "aware"],
)
def test_words_that_only_look_like_it_state_nothing(caption: str, attribute: str) -> None:
    assert attribute not in read_attributes(caption)


def test_what_is_said_in_two_ways_is_unclear_and_vague_words_give_way() -> None:
    assert read_attributes("The weather is clear. The weather is rainy.")["weather"] == UNCLEAR
    assert read_attributes("An adult, a man in his 30s.")["age"] == "30s"
    assert agrees("age", "adult", "30s")
    assert agrees("age", "30s", "adult")
    assert not agrees("age", "child", "30s")
    assert not agrees("weather", UNCLEAR, UNCLEAR)


def test_motion_belongs_to_the_road_user_of_its_clause() -> None:
    facts = read_attributes("The pedestrian walks away from the vehicle, which is turning to the left.")
    assert (facts["motion"], facts["vehicle_action"]) == ("walking", "turning left")
    assert "motion" not in read_attributes("The vehicle is stationary.")
    assert "vehicle_action" not in read_attributes("The pedestrian is stationary.")


def test_what_cannot_be_read_is_counted() -> None:
    caption = "The weather is clear. All in all, nothing is known.The lanes are many!"
    assert unread_sentences(caption) == ("all in all, nothing is known", "the lanes are many")
    assert sentence_counts([caption, "", "  "]) == {"sentences": 3, "unread": 2}


def test_every_fact_of_the_synthetic_city_is_read_in_whatever_hand_it_is_written() -> None:
    """Its facts are known; the reader has its captions only."""
    names = {
        **{"sex": "sex", "upper": "upper", "upper_colour": "upper_colour", "lower": "lower", "carried": "carried"},
        **{"lower_colour": "lower_colour", "position": "position", "distance": "distance", "facing": "orientation"},
        **{"gaze": "gaze", "motion": "motion", "vehicle_kind": "vehicle_kind", "vehicle_colour": "vehicle_colour"},
        **{"vehicle_action": "vehicle_action", "weather": "weather", "light": "light", "surface": "surface"},
        **{"road": "road", "traffic": "traffic"},
    }
    for hand in range(40):
        event = sample_event(hand)
        for moment in event.boundaries_s:
            facts = facts_at(event, moment)
            captions = pedestrian_caption(facts, hand), vehicle_caption(facts, hand)
            assert not [sentence for caption in captions for sentence in unread_sentences(caption)]
            # What both captions state, such as the distance, they state in different words.
            found = [read_attributes(caption) for caption in captions]
            for name, own in names.items():
                assert {said[own] for said in found if own in said} == {facts[name]}
            assert found[0]["height"] == f"{facts['height_cm']} cm"
            assert found[0].get("headwear_colour", "none") == facts["hat_colour"]


def test_real_captions_leave_little_unread() -> None:
    entries = [
        entry
        for file in sorted((ROOT / "data" / "real_sample").rglob("*_caption.json"))
        for entry in json.loads(file.read_text(encoding="utf-8"))["event_phase"]
    ]
    captions = [entry[f"caption_{role}"] for entry in entries for role in ("pedestrian", "vehicle")]
    counts = sentence_counts(captions)
    assert counts["sentences"] > 50
    assert counts["unread"] < 0.1 * counts["sentences"]


@given(st.text() | st.lists(st.sampled_from((PEDESTRIAN + VEHICLE).split()), max_size=30).map(" ".join))
def test_any_text_is_read_into_known_attributes(caption: str) -> None:
    facts = read_attributes(caption)
    assert facts.keys() <= attributes().keys()
    assert read_attributes(f" {caption}\n") == facts
