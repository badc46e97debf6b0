"""CIDEr-D of one caption against one reference, as the evaluator of the AI City Challenge Track 2 computes it.

CIDEr-D weighs an n-gram by how rare it is among the references of a corpus. That evaluator scores each caption as a
corpus of its own and sets the logarithm of the corpus size to 1, so all weights are 1. What is left is a clipped
cosine of n-gram counts under a penalty for another length.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import e, sqrt

from cityscribe.evaluate.ngrams import LONGEST_NGRAM, Overlap

SIGMA = 6.0  # width of the length penalty, in bigrams
SCALE = 10.0


def cider(overlaps: Sequence[Overlap]) -> float:
    """CIDEr-D in [0, 10] of a prediction against a reference, from the overlaps of their Treebank tokens.

    Eq. 4 of Vedantam et al. (CVPR 2015) with all weights 1: the mean over n = 1..4 of the cosine of the counts, those
    of the prediction clipped to those of the reference in the product, times exp(-d^2 / 2 sigma^2) for a difference
    of d bigrams. A caption of fewer than four tokens has no 4-grams and stays below 10 even against itself.
    """
    bigrams = overlaps[1]
    difference = bigrams.prediction_total - bigrams.reference_total
    penalty = e ** (-(difference**2) / (2 * SIGMA**2))
    # The sums stand in the order of the original, so that not even the last bit differs.
    total = 0.0
    for overlap in overlaps:
        if overlap.product:
            norms = sqrt(overlap.prediction_squares) * sqrt(overlap.reference_squares)
            total += overlap.product / norms * penalty
    return total / LONGEST_NGRAM * SCALE
