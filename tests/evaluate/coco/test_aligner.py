from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cityscribe.evaluate.coco.aligner import LENGTH, REFERENCE_LENGTH, REFERENCE_START, START, Candidates, align

match = st.tuples(st.integers(0, 9), st.integers(1, 3), st.integers(0, 9), st.integers(1, 3), st.integers(0, 3))


@st.composite
def candidates(draw: st.DrawFn) -> Candidates:
    """Candidates of two captions of up to ten words; those of one word with one are the most common."""
    length, reference_length = draw(st.integers(1, 10)), draw(st.integers(1, 10))
    rows = {
        (start, words if module == 3 else 1, place, reference_words if module == 3 else 1, module)
        for start, words, place, reference_words, module in draw(st.lists(match, max_size=25))
    }
    inside = sorted(
        (row for row in rows if row[0] + row[1] <= length and row[2] + row[3] <= reference_length),
        key=lambda row: (row[2], row[4], row[0]),
    )
    return Candidates(length, reference_length, np.array(inside, np.int64).reshape(-1, 5))


def words_of(matches: np.ndarray, start: int, length: int) -> list[int]:
    return [word for row in matches.tolist() for word in range(row[start], row[start] + row[length])]


@settings(max_examples=60)
@given(st.lists(candidates(), min_size=1, max_size=4))
def test_each_word_is_matched_once_and_pairs_do_not_touch_each_other(pairs: list[Candidates]) -> None:
    together = align(pairs)
    for pair, alignment in zip(pairs, together, strict=True):
        for start, length in ((START, LENGTH), (REFERENCE_START, REFERENCE_LENGTH)):
            words = words_of(alignment.matches, start, length)
            assert len(words) == len(set(words))
        assert {tuple(row) for row in alignment.matches.tolist()} <= {tuple(row) for row in pair.matches.tolist()}
        (alone,) = align([pair])
        assert alone.chunks == alignment.chunks
        assert alone.matches.tolist() == alignment.matches.tolist()


@settings(max_examples=60)
@given(candidates())
def test_chunks_are_the_runs_of_the_matches(pair: Candidates) -> None:
    (alignment,) = align([pair])
    rows = sorted(alignment.matches.tolist(), key=lambda row: row[REFERENCE_START])
    ends = [(-1, -1), *((row[START] + row[LENGTH], row[REFERENCE_START] + row[REFERENCE_LENGTH]) for row in rows)]
    breaks = sum((row[START], row[REFERENCE_START]) != end for row, end in zip(rows, ends, strict=False))
    assert alignment.chunks == breaks


def exact(prediction: str, reference: str) -> Candidates:
    rows = [(i, 1, j, 1, 0) for j, b in enumerate(reference) for i, a in enumerate(prediction) if a == b]
    return Candidates(len(prediction), len(reference), np.array(rows, np.int64).reshape(-1, 5))


def test_fewer_chunks_are_preferred_among_equal_words() -> None:
    # The one t of the reference is followed by c in the second place only.
    (alignment,) = align([exact("txtc", "tc")])
    assert sorted(alignment.matches[:, START].tolist()) == [2, 3]
    assert alignment.chunks == 1


def test_a_long_caption_is_aligned_beside_a_short_one() -> None:
    long = "abcdefgh" * 40
    first, second = align([exact(long, long), exact("ab", "ba")])
    assert (len(first.matches), first.chunks) == (len(long), 1)
    assert (len(second.matches), second.chunks) == (2, 2)
