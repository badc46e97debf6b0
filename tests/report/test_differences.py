from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cityscribe.report.differences import MOST_TOKENS, TOKEN, TextSpan, compare

vocabulary = st.sampled_from(["the", "The", "car", "red", ".", ",", "mid-30s", "\n", "é"])
words = st.lists(vocabulary, max_size=25).map(" ".join)
texts = st.one_of(words, st.text(max_size=60))


def join(spans: list[TextSpan]) -> str:
    return "".join(span.text for span in spans)


def tokens_that_agree(spans: list[TextSpan]) -> list[str]:
    return [token.casefold() for span in spans if not span.differs for token in TOKEN.findall(span.text)]


@given(texts, texts)
def test_spans_join_to_the_texts_and_what_is_not_marked_agrees(reference: str, prediction: str) -> None:
    missed, added = compare(reference, prediction)
    assert join(missed) == reference
    assert join(added) == prediction
    assert tokens_that_agree(missed) == tokens_that_agree(added)


@given(texts)
def test_a_text_does_not_differ_from_itself(text: str) -> None:
    assert not any(span.differs for side in compare(text, text) for span in side)


@given(words)
def test_capitals_and_spaces_are_no_difference(text: str) -> None:
    other = "  ".join(token.upper() for token in TOKEN.findall(text))
    assert not any(span.differs for side in compare(text, other) for span in side)


def test_changed_words_are_marked_on_both_sides_and_nothing_else_is() -> None:
    missed, added = compare("He wears a black coat. It is dry.", "He wears a light gray coat. it is dry.")
    assert [span.text for span in missed if span.differs] == ["black"]
    assert [span.text for span in added if span.differs] == ["light gray"]


def test_a_missing_sentence_is_marked_with_its_own_full_stop() -> None:
    missed, added = compare("A van turns. The road is dry. She waits.", "A van turns. She waits.")
    assert [span.text for span in missed if span.differs] == ["The road is dry."]
    assert not any(span.differs for span in added)


def test_a_missing_sentence_that_begins_like_its_neighbour_is_marked_whole() -> None:
    for before, after in (("", " It is blue."), ("It is a van.", " It is blue."), ("A van turns.", " It is blue.")):
        missed, _ = compare(f"{before} It is far away.{after}", before + after)
        assert [span.text.strip() for span in missed if span.differs] == ["It is far away."]


def test_empty_texts() -> None:
    assert compare("", "") == ([], [])
    assert compare("a car", "") == ([TextSpan("a car", True)], [])


def test_texts_too_long_to_compare_come_back_whole() -> None:
    text = "the " * (MOST_TOKENS + 1)
    assert compare(text, "a") == ([TextSpan(text, False)], [TextSpan("a", False)])
