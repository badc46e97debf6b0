"""Tokens of the profile `coco` against those of the original: recorded ones, and, where there is Java, live ones."""

from __future__ import annotations

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.evaluate.coco.lexer import lexer
from cityscribe.evaluate.coco.tokens import caption_tokens
from tests.evaluate.coco.odd_captions import RECORDED, SINGLE, odd_captions, originals
from tests.evaluate.coco.pairs import BREAKS
from tests.evaluate.strategies import captions

NEEDS_JAVA = pytest.mark.skipif(shutil.which("java") is None, reason="the original needs Java")


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("The car stops.", "the car stops"),
        ("It isn't the driver's T-shirt, can't be.", "it is n't the driver 's t-shirt ca n't be"),
        ("At 20 km/h (near), 3.5m wide; 50% wet!", "at 20 km/h -lrb- near -rrb- 3.5 m wide 50 % wet"),
        ("in the U.S. at 5 p.m. on St. John", "in the u.s. at 5 p.m. on st. john"),
        ("No. 5 is no. one", "no. 5 is no one"),
        ("rear-end and/or left-", "rear-end and/or left"),
        ("“quoted” – it’s…", "quoted it 's"),
        ("£5, 5€ and $5", "# 5 5 $ and $ 5"),
        ("at 20-30km/h", "at 20-30km / h"),
        ("&quot;stop&quot; and 5'10\" tall", "stop and 5 10 tall"),
        ("cafe\u0301 man\u0303ana", "cafe\u0301 man\u0303ana"),
        ("", ""),
        (" ... ?!", "?!"),
    ],
)
def test_tokens_are_those_of_the_treebank_without_punctuation(caption: str, expected: str) -> None:
    assert " ".join(caption_tokens(caption)) == expected


def test_recorded_tokens_of_the_original() -> None:
    recorded = json.loads(RECORDED.read_text())
    assert len(recorded) >= 400
    assert [caption_tokens(caption) for caption, _ in recorded] == [expected for _, expected in recorded]


@NEEDS_JAVA
def test_tokens_of_the_original_as_it_runs() -> None:
    asked = [*odd_captions(3000, seed=0), *(f"a {sign} b{sign}c 1{sign}2" for sign in SINGLE)]
    different = [
        (caption, expected)
        for caption, expected in zip(asked, originals(asked), strict=True)
        if caption_tokens(caption) != expected
    ]
    assert different == []


@pytest.mark.parametrize("end", BREAKS)
def test_a_line_end_within_a_caption_is_a_space(end: str) -> None:
    assert caption_tokens(f"a car{end}stops") == ["a", "car", "stops"]


@given(captions | st.text(max_size=30))
def test_a_token_is_never_empty_and_holds_no_space(caption: str) -> None:
    assert all(token and token == token.strip() and " " not in token for token in caption_tokens(caption))


@given(st.text(max_size=40))
def test_parts_stand_in_their_text_in_order(text: str) -> None:
    place = 0
    for part, _ in lexer().scan(text):
        place = text.index(part, place) + len(part)
