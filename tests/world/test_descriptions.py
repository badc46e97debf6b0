from __future__ import annotations

import re

import numpy as np
import pytest

from cityscribe.world.captions import pedestrian_caption, vehicle_caption
from cityscribe.world.descriptions import LISTED_PERSON, LISTED_PLACE, in_sentences, in_short, listed
from cityscribe.world.event import sample_event
from cityscribe.world.facts import facts_at
from cityscribe.world.pictures import sample_picture
from cityscribe.world.sentence_words import SENTENCES
from cityscribe.world.statement_words import SHORT

OTHER = {
    "sex": "female",
    "age": "elderly",
    "height_cm": "120",
    "upper": "coat",
    "upper_colour": "red",
    "lower": "shorts",
    "lower_colour": "red",
    "hat_colour": "red",
    "carried": "umbrella",
    "motion": "running",
    "gaze": "phone",
    "position": "left",
    "distance": "near",
    "facing": "opposite",
    "vehicle_colour": "red",
    "vehicle_kind": "van",
    "weather": "foggy",
    "light": "dark",
    "surface": "wet",
    "road": "residential road",
    "lanes": "4",
    "sidewalks": "no",
    "traffic": "heavy",
}
FACTS = {
    "sex": "male",
    "age": "adult",
    "height_cm": "180",
    "upper": "jacket",
    "upper_colour": "blue",
    "lower": "skirt",
    "lower_colour": "green",
    "hat_colour": "none",
    "carried": "nothing",
    "motion": "walking",
    "gaze": "ahead",
    "position": "front",
    "distance": "far",
    "facing": "same",
    "vehicle_colour": "white",
    "vehicle_kind": "bus",
    "weather": "clear",
    "light": "dim",
    "surface": "dry",
    "road": "urban road",
    "lanes": "2",
    "sidewalks": "yes",
    "traffic": "usual",
    "junction": "no",
}


@pytest.mark.parametrize("name", OTHER)
def test_every_attribute_is_said_in_whatever_words(name: str) -> None:
    changed = {**FACTS, name: OTHER[name]}
    for seed in range(40):
        texts = [in_sentences(facts, tuple(SENTENCES), np.random.default_rng(seed)) for facts in (FACTS, changed)]
        assert texts[0] != texts[1]


def test_texts_are_clean() -> None:
    for seed in range(30):
        picture = sample_picture(seed)
        rng = np.random.default_rng(seed)
        texts = [in_sentences(picture.facts, (about,), rng) for about in SENTENCES]
        texts.append(in_short(picture.facts, tuple(SHORT), rng))
        for text in filter(None, texts):
            assert all(sentence[0].upper() == sentence[0] for sentence in text.split(". ")), text
        for text in filter(None, [*texts, listed(picture.facts, LISTED_PERSON + LISTED_PLACE, rng)]):
            assert not re.search(r"[{}]|  |\.\.|,,| ,| \.|\bego\b", text), text
            assert text.endswith("."), text


def test_of_ones_own_car_nothing_is_said() -> None:
    own = {**FACTS, "vehicle_kind": "ego"}
    assert in_sentences(own, ("vehicle",), np.random.default_rng(0)) == ""
    assert "white" not in in_sentences(own, tuple(SENTENCES), np.random.default_rng(0))


def test_no_sentence_of_a_caption_is_said() -> None:
    captions = set()
    for seed in range(15):
        event = sample_event(seed)
        for begin in event.boundaries_s[:-1]:
            facts = facts_at(event, begin)
            for hand in range(25):
                for caption in (pedestrian_caption(facts, hand), vehicle_caption(facts, hand)):
                    captions.update(_sentences(caption))
    assert len(captions) > 800
    told = set()
    for seed in range(75):
        for question in sample_picture(seed).questions:
            told.update(_sentences(question.answer))
    assert len(told) > 1000
    assert not captions & told


def _sentences(text: str) -> list[str]:
    return [sentence.strip(". ").lower() for sentence in re.split(r"(?<=\.) ", text)]
