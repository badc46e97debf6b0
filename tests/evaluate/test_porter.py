from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer

from cityscribe.evaluate.porter import LISTED, STEP_2, STEP_3, STEP_4, porter_stem

STEMMER = PorterStemmer()
SHORT = ("s", "ies", "ied", "eed", "ed", "ing", "y", "e")
ENDINGS = sorted({ending for ending, _ in (*STEP_2, *STEP_3)} | {*STEP_4, *SHORT})


@settings(deadline=None, max_examples=500)
@given(st.builds("".join, st.tuples(st.text("aeiouybcdlstz", max_size=6), *[st.sampled_from(["", *ENDINGS])] * 2)))
@example("Flies")
@example("geologically")
@example("yyy")
def test_stems_of_words_with_the_endings_of_the_rules_are_those_of_nltk(word: str) -> None:
    assert porter_stem(word) == STEMMER.stem(word)


def test_listed_words_are_those_of_nltk() -> None:
    assert STEMMER.pool == LISTED
