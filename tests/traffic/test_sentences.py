from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityscribe.traffic.sentences import split_sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["He is in his 30s.", "He wears a coat."],
        ["The height is approx. 160 cm.", "It rains."],
        ["It drives at 10 km/h.", "The pedestrian is near."],
        ["The crosswalk is 3.5 m wide.", "It ends there."],
        ["The bridge is 3.5 m.", "It ends there."],
        ["It is 10 a.m. on a weekday.", "Traffic is light."],
        ["It is 10 a.m.", "Traffic is light."],
        ["He carries e.g. a bag, i.e. luggage, etc. and walks on.", "He stops."],
        ["He carries bags etc.", "He stops."],
        ["Lane no. 2 is closed.", "Dr. Who and Mr. B. Smith wait on St. John street."],
        ["“Stop” is painted on the road.", "He said “wait.”", "She waited."],
        ["Is he aware?", "No!", "He is not..."],
        ["the weather is clear.", "the road is dry."],
        ["The speed is 20 km/h"],
        ["(The road is wet.)", "It is dark."],
    ],
)
def test_splits(sentences):
    assert split_sentences(" ".join(sentences)) == sentences


def test_a_forgotten_space_still_splits():
    assert split_sentences("No strip is present.Overall, it is safe.") == [
        "No strip is present.",
        "Overall, it is safe.",
    ]
    assert split_sentences("at 10 km/h.The car stops.") == ["at 10 km/h.", "The car stops."]


@pytest.mark.parametrize("text", ["", "  \n ", "\t"])
def test_nothing_gives_nothing(text):
    assert split_sentences(text) == []


@settings(deadline=None)
@given(st.text(alphabet="aB. !?\n\"'3,(”", max_size=60))
def test_nothing_is_lost_or_reordered(text):
    sentences = split_sentences(text)
    assert all(sentence and sentence == sentence.strip() for sentence in sentences)
    assert "".join("".join(sentences).split()) == "".join(text.split())
