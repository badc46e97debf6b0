from __future__ import annotations

import math

import pytest
from hypothesis import assume, given

from cityscribe.evaluate.cider import cider
from cityscribe.evaluate.ngrams import ngram_overlaps
from tests.evaluate.strategies import tokens


def score(reference: list[str], prediction: list[str]) -> float:
    return cider(*ngram_overlaps([(reference, prediction)]))


@given(tokens)
def test_identical_captions_score_ten_where_they_have_every_ngram(caption: list[str]) -> None:
    assume(caption)
    assert score(caption, caption) == pytest.approx(2.5 * min(4, len(caption)), rel=1e-12)


@given(tokens, tokens)
def test_it_lies_between_zero_and_ten(reference: list[str], prediction: list[str]) -> None:
    assert 0 <= score(reference, prediction) <= 10 + 1e-12


def test_a_difference_of_length_is_paid_by_a_gaussian_of_six_bigrams() -> None:
    reference = [f"word{number}" for number in range(40)]
    longer = [*reference, *(f"other{number}" for number in range(6))]
    # Of 46, 45, 44, 43 n-grams 40, 39, 38, 37 are those of the reference; all counts are 1.
    cosines = [math.sqrt((40 - n) / (46 - n)) for n in range(4)]
    assert score(reference, longer) == pytest.approx(10 * sum(cosines) / 4 * math.exp(-0.5), rel=1e-12)


def test_a_repeated_word_counts_no_more_often_than_in_the_reference() -> None:
    reference, prediction = ["a", "b"], ["a", "a"]
    # Unigrams: min(2, 1) * 1 over |(2)| * |(1, 1)|; no bigram in common; no longer n-grams.
    assert score(reference, prediction) == pytest.approx(10 / 4 * 1 / (2 * math.sqrt(2)), rel=1e-12)


def test_an_empty_prediction_scores_zero() -> None:
    assert score(["a", "b", "c", "d"], []) == 0.0
