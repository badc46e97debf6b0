"""The n-grams that captions share with their references, counted once for BLEU and CIDEr."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from typing import NamedTuple

import numpy as np

LONGEST_NGRAM = 4
PAIRS_AT_ONCE = 32  # few enough to stay in the processor's cache
MOST_NUMBERED = 1 << 61


class Overlap(NamedTuple):
    """Sums over the n-grams of one length; r and p: how often one occurs in the reference and in the prediction."""

    reference_total: int  # sum of r
    prediction_total: int  # sum of p
    matches: int  # sum of min(p, r)
    product: int  # sum of min(p, r) * r
    reference_squares: int  # sum of r * r
    prediction_squares: int  # sum of p * p


def ngram_overlaps(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[list[Overlap]]:
    """For each pair of a reference and a prediction, both as tokens, the overlaps of their 1-grams to 4-grams.

    The n-grams of PAIRS_AT_ONCE pairs are sorted together, each as a number that begins with its pair and ends with its
    side, so that equal ones of a pair lie side by side.
    """
    overlaps: list[list[Overlap]] = []
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        overlaps += _overlaps(pairs[start : start + PAIRS_AT_ONCE])
    return overlaps


def _overlaps(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[list[Overlap]]:
    captions = list(chain.from_iterable(pairs))
    numbers = dict(zip(set(chain.from_iterable(captions)), count(), strict=False))
    lengths = list(map(len, captions))
    tokens = np.fromiter(map(numbers.__getitem__, chain.from_iterable(captions)), np.int64, sum(lengths))
    caption_of = np.repeat(np.arange(len(captions)), lengths)  # of each token
    grams, kinds = tokens, len(numbers)
    columns = []
    for n in range(1, LONGEST_NGRAM + 1):
        if n > 1:
            if kinds * len(numbers) * len(captions) >= MOST_NUMBERED:
                known, grams = np.unique(grams, return_inverse=True)
                kinds = len(known)
            # An n-gram is the (n-1)-gram that it starts with and its last token.
            grams, kinds = grams[:-1] * len(numbers) + tokens[n - 1 :], kinds * len(numbers)
        # N-grams that begin in one caption and end in another are none.
        own = caption_of[: len(grams)][caption_of[: len(grams)] == caption_of[n - 1 :]]
        whole = grams[caption_of[: len(grams)] == caption_of[n - 1 :]]
        columns.append(_sums((own >> 1) * kinds + whole, own & 1, kinds, len(pairs)))
    totals = [[max(0, length - n) for n in range(LONGEST_NGRAM)] for length in lengths]
    return [
        [
            Overlap(totals[2 * pair][n], totals[2 * pair + 1][n], *(sums[pair] for sums in columns[n]))
            for n in range(LONGEST_NGRAM)
        ]
        for pair in range(len(pairs))
    ]


def _sums(grams: np.ndarray, sides: np.ndarray, kinds: int, pairs: int) -> list[list[int]]:
    """Matches, product and the squares of both sides, each by pair. `grams` are numbers of pairs times `kinds` and of
    n-grams, `sides` 0 for the reference and 1 for the prediction."""
    if not len(grams):
        return [[0] * pairs] * 4
    ordered = np.sort(grams * 2 + sides)
    gram = ordered >> 1
    first = np.concatenate([[0], np.flatnonzero(gram[1:] != gram[:-1]) + 1])  # of each run of equal ones
    p = np.add.reduceat(ordered & 1, first)
    r = np.diff(first, append=len(ordered)) - p
    pair = gram[first] // kinds
    shared = np.minimum(p, r)
    # Sums of whole numbers below 2**53 are exact as floats.
    sums = [np.bincount(pair, weights, minlength=pairs) for weights in (shared, shared * r, r * r, p * p)]
    return [row.astype(np.int64).tolist() for row in sums]
