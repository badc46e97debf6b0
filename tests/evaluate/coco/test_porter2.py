from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.evaluate.coco.porter2 import stem


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        *(("pedestrians", "pedestrian"), ("crossing", "cross"), ("vehicles", "vehicl"), ("hopping", "hop")),
        *(
            ("hoping", "hope"),
            ("ties", "tie"),
            ("cries", "cri"),
            ("gas", "gas"),
            ("kiwis", "kiwi"),
            ("consign", "consign"),
        ),
        *(("consistency", "consist"), ("knightly", "knight"), ("generously", "generous"), ("happily", "happili")),
        *(
            ("skies", "sky"),
            ("dying", "die"),
            ("inning", "inning"),
            ("driver's", "driver"),
            ("'tis", "tis"),
            ("by", "by"),
        ),
        *(("relational", "relat"), ("rationally", "ration"), ("apology", "apolog"), ("rolled", "roll"), ("say", "say")),
    ],
)
def test_stems_of_the_published_description(word: str, expected: str) -> None:
    assert stem(word) == expected


def test_the_rules_are_those_before_snowball_3() -> None:
    assert stem("added") == "ad"
    assert stem("egged") == "eg"


@given(st.text(st.sampled_from("aeioubcdlnstyYz'é"), max_size=9))
def test_a_stem_is_no_longer_than_its_word(word: str) -> None:
    # Step 1b may add an e in the place of a longer ending.
    assert len(stem(word)) <= len(word)
