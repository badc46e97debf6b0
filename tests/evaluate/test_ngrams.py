from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cityscribe.evaluate.ngrams import ngram_overlaps

letters = st.lists(st.sampled_from("abc"), max_size=20)


@given(letters, letters)
def test_overlaps_are_the_sums_over_counted_ngrams(reference: list[str], prediction: list[str]) -> None:
    overlaps = ngram_overlaps(reference, prediction)
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
