"""BLEU-4 of one caption against one reference, as nltk's `sentence_bleu` gives it: by smoothing method 3, or plain."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from math import exp, fsum, log

from cityscribe.evaluate.ngrams import LONGEST_NGRAM, Overlap


def bleu(overlaps: Sequence[Overlap]) -> float:
    """BLEU-4 in [0, 1] of a prediction against a reference, from the overlaps of their Treebank tokens.

    The geometric mean of the clipped n-gram precisions times the brevity penalty (Papineni et al., ACL 2002). The
    k-th precision that is zero counts as 1 / (2^k times its denominator), the smoothing of NIST (method 3 of Chen and
    Cherry, WMT 2014). Without a common token, and so for an empty prediction, it is 0.
    """
    tokens = overlaps[0]
    if not tokens.matches:
        return 0.0
    zeros = 0
    precisions = []
    for overlap in overlaps:
        # A prediction shorter than n has no n-grams, yet its precision has a denominator: nltk takes 1.
        total = max(1, overlap.prediction_total)
        zeros += not overlap.matches
        precisions.append(overlap.matches / total if overlap.matches else 1 / (2**zeros * total))
    longer = tokens.prediction_total > tokens.reference_total
    brevity = 1.0 if longer else exp(1 - tokens.reference_total / tokens.prediction_total)
    return brevity * exp(fsum(log(precision) / LONGEST_NGRAM for precision in precisions))


def plain_bleu(reference: Sequence[str], prediction: Sequence[str]) -> float:
    """BLEU-4 in [0, 1] of tokens, not smoothed: a precision of zero counts as the smallest float, as nltk has it, so
    that the score is as good as 0. Without a common token, and so for an empty prediction, it is 0."""
    logs = []
    for n in range(1, LONGEST_NGRAM + 1):
        said, meant = (
            Counter(tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1))
            for tokens in (prediction, reference)
        )
        matches = sum((said & meant).values())
        if n == 1 and not matches:
            return 0.0
        logs.append(log(matches / max(1, sum(said.values())) if matches else sys.float_info.min))
    brevity = 1.0 if len(prediction) > len(reference) else exp(1 - len(reference) / len(prediction))
    return brevity * exp(fsum(logs) / LONGEST_NGRAM)
