"""Texts are made comparable as the official scripts do it; expected values are those that the scripts give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.evaluate.benchmarks.vqa_text import CONTRACTIONS, evalai, official, spaced


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat", "cat"),
        ("two", "2"),
        ("none", "0"),
        ("Eleven", "eleven"),
        ("dont", "don't"),
        ("couldn'tve", "couldn't've"),
        ("couldnt've", "couldn't've"),
        ("couldntve", "couldntve"),  # two apostrophes are missing: not in the table
        ("somebody'd", "somebodyd"),
        ("let's", "let's"),
        ("lets", "lets"),
        ("red/blue", "red blue"),  # becomes a space
        ("red /blue", "red blue"),  # a space beside it: vanishes
        ("a/b c/ d", "ab c d"),  # one place with a space decides for all, and `a` is part of a word now
        ("10,000 (ten-thousand)", "10000 tenthousand"),  # a comma between digits: everything vanishes
        ("1,x", "1 x"),
        ("3.5", "3.5"),
        ("3.", "3"),
        ("a.b.", "ab"),
        ("U.S.A", "usa"),
        ("." * 40, "." * 8),  # only 32 are taken out
        ("it's", "it's"),
        ("what?!", "what"),
        ("", ""),
    ],
)
def test_official(text: str, expected: str) -> None:
    assert official(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Joe's", "joe 's"),
        ("it's", "it 's"),
        ("10,000", "10000"),
        ("10,000 (ten-thousand)", "10000 10 thousand"),  # the comma is gone before it could decide
        ("Yes?", "yes"),
        (" A\tred\ncar. ", "red car"),
    ],
)
def test_evalai(text: str, expected: str) -> None:
    assert evalai(text) == expected


def test_spaced_only_touches_blanks() -> None:
    assert spaced("\tYes,\nthe  Car. ") == "Yes, the  Car."


def test_the_table_of_contractions_has_the_size_of_the_official_one() -> None:
    # Those of its entries that change a word: let's and she's do not, Id've, I'dve, Im and Ive never match.
    assert len(CONTRACTIONS) == 114
    assert all(value.replace("'", "") == key.replace("'", "") for key, value in CONTRACTIONS.items())


@given(st.text(alphabet="ab 1,.'?!-/\n\tTthe", max_size=20))
def test_what_was_treated_once_stays_free_of_marks_and_capitals(text: str) -> None:
    for treated in (official(spaced(text)), evalai(text)):
        assert not set(treated) & set("?!-/,\n\t")
        assert treated == treated.lower() == " ".join(treated.split())
