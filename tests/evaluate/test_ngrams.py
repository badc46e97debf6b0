from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.evaluate import ngrams
from cityscribe.evaluate.ngrams import PAIRS_AT_ONCE, ngram_overlaps

letters = st.lists(st.sampled_from("abc"), max_size=20)


@given(letters, letters)
def test_overlaps_are_the_sums_over_counted_ngrams(reference: list[str], prediction: list[str]) -> None:
    (overlaps,) = ngram_overlaps([(reference, prediction)])
    assert len(overlaps) == 4
    for n, overlap in enumerate(overlaps, start=1):
        r = Counter(tuple(reference[i : i + n]) for i in range(len(reference) - n + 1))
        p = Counter(tuple(prediction[i : i + n]) for i in range(len(prediction) - n + 1))
        assert overlap == (
            r.total(),
            p.total(),
            (r & p).total(),
            sum(count * r[gram] for gram, count in (r & p).items()),
            sum(count**2 for count in r.values()),
            sum(count**2 for count in p.values()),
        )


@given(st.lists(st.tuples(letters, letters), max_size=2 * PAIRS_AT_ONCE + 1))
def test_a_pair_counts_the_same_in_any_company(pairs: list[tuple[list[str], list[str]]]) -> None:
    assert ngram_overlaps(pairs) == [overlaps for pair in pairs for overlaps in ngram_overlaps([pair])]


@given(st.lists(st.tuples(letters, letters), max_size=5))
def test_ngrams_that_are_too_many_to_number_are_numbered_anew(pairs: list[tuple[list[str], list[str]]]) -> None:
    expected = ngram_overlaps(pairs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngrams, "MOST_NUMBERED", 1)
        assert ngram_overlaps(pairs) == expected
