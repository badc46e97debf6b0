"""The n-grams that two captions share, counted once for BLEU and CIDEr."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

import numpy as np

LONGEST_NGRAM = 4


class Overlap(NamedTuple):
    """Sums over the n-grams of one length; r and p: how often one occurs in the reference and in the prediction."""

    reference_total: int  # sum of r
    prediction_total: int  # sum of p
    matches: int  # sum of min(p, r)
    product: int  # sum of min(p, r) * r
    reference_squares: int  # sum of r * r
    prediction_squares: int  # sum of p * p


def ngram_overlaps(reference: Sequence[str], prediction: Sequence[str]) -> list[Overlap]:
    """The overlaps of the 1-grams to 4-grams of two captions, both as tokens."""
    numbers = dict(zip({*reference, *prediction}, count(), strict=False))
    reference_tokens = np.fromiter(map(numbers.__getitem__, reference), np.int64, len(reference))
    prediction_tokens = np.fromiter(map(numbers.__getitem__, prediction), np.int64, len(prediction))
    reference_grams, prediction_grams, distinct = reference_tokens, prediction_tokens, len(numbers)
    overlaps = []
    for n in range(1, LONGEST_NGRAM + 1):
        if n > 1:
            # An n-gram is the (n-1)-gram that it starts with and its last token, numbered anew.
            reference_grams = reference_grams[:-1] * len(numbers) + reference_tokens[n - 1 :]
            prediction_grams = prediction_grams[:-1] * len(numbers) + prediction_tokens[n - 1 :]
            grams, new = np.unique(np.concatenate([reference_grams, prediction_grams]), return_inverse=True)
            reference_grams, prediction_grams = new[: len(reference_grams)], new[len(reference_grams) :]
            distinct = len(grams)
        r = np.bincount(reference_grams, minlength=distinct)
        p = np.bincount(prediction_grams, minlength=distinct)
        shared = np.minimum(p, r)
        overlaps.append(
            Overlap(
                reference_total=len(reference_grams),
                prediction_total=len(prediction_grams),
                matches=int(shared.sum()),
                product=int(shared @ r),
                reference_squares=int(r @ r),
                prediction_squares=int(p @ p),
            )
        )
    return overlaps
