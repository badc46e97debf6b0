from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.evaluate.coco.tokens import caption_tokens
from tests.evaluate.coco.pairs import BREAKS
from tests.evaluate.strategies import captions


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
        ("", ""),
        (" ... ?!", "?!"),
    ],
)
def test_tokens_are_those_of_the_treebank_without_punctuation(caption: str, expected: str) -> None:
    assert " ".join(caption_tokens(caption)) == expected


@pytest.mark.parametrize("end", BREAKS)
def test_a_line_end_within_a_caption_is_a_space(end: str) -> None:
    assert caption_tokens(f"a car{end}stops") == ["a", "car", "stops"]


@given(captions | st.text(max_size=30))
def test_a_token_is_never_empty_and_holds_no_space(caption: str) -> None:
    assert all(token and token == token.strip() and " " not in token for token in caption_tokens(caption))
