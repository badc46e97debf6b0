"""BLEU and CIDEr-D of a corpus, as the profile `coco` computes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import e, exp, log, sqrt

LONGEST_NGRAM = 4
SIGMA = 6.0  # width of the length penalty of CIDEr-D, in bigrams
TINY, SMALL = 1e-15, 1e-9  # added to what matches and to what there is, in place of smoothing

Ngrams = list[Counter[tuple[str, ...]]]  # for n = 1..4 how often each n-gram occurs


def count_ngrams(tokens: Sequence[str]) -> Ngrams:
    return [Counter(zip(*(tokens[start:] for start in range(n)), strict=False)) for n in range(1, LONGEST_NGRAM + 1)]


def bleu(
    predictions: Sequence[Ngrams], references: Sequence[Sequence[Ngrams]]
) -> tuple[list[float], list[list[float]]]:
    """BLEU-1 to BLEU-4 in [0, 1] of the corpus, and of each prediction by itself.

    Papineni et al. (ACL 2002): counts are clipped to the most in any reference, and of the lengths of the references
    the one nearest to the prediction's counts, the shorter one where two are as near. The corpus' value is that of the
    summed counts. Without smoothing: where no n-gram of a prediction matches, its value is nearly 0.
    """
    matches, totals = [0] * LONGEST_NGRAM, [0] * LONGEST_NGRAM
    length = reference_length = 0
    segments = []
    for prediction, all_references in zip(predictions, references, strict=True):
        words = prediction[0].total()
        nearest = min((abs(reference[0].total() - words), reference[0].total()) for reference in all_references)[1]
        here, there = [], []
        for n, counts in enumerate(prediction):
            most: dict[tuple[str, ...], int] = {}
            for reference in all_references:
                for ngram in counts.keys() & reference[n].keys():
                    most[ngram] = max(most.get(ngram, 0), reference[n][ngram])
            here.append(sum(min(counts[ngram], limit) for ngram, limit in most.items()))
            there.append(max(0, words - n))
        segments.append(_bleu(here, there, words, nearest))
        matches = [a + b for a, b in zip(matches, here, strict=True)]
        totals = [a + b for a, b in zip(totals, there, strict=True)]
        length += words
        reference_length += nearest
    return _bleu(matches, totals, length, reference_length), segments


def _bleu(matches: list[int], totals: list[int], length: int, reference_length: int) -> list[float]:
    product = 1.0
    values = []
    for n, (match, total) in enumerate(zip(matches, totals, strict=True), start=1):
        product *= (match + TINY) / (total + SMALL)
        values.append(product ** (1 / n))
    ratio = (length + TINY) / (reference_length + SMALL)
    return [value * exp(1 - 1 / ratio) for value in values] if ratio < 1 else values


def cider(predictions: Sequence[Ngrams], references: Sequence[Sequence[Ngrams]]) -> tuple[float, list[float]]:
    """CIDEr-D in [0, 10] of the corpus, the mean, and of each prediction.

    Eq. 4 of Vedantam et al. (CVPR 2015), with the weight of an n-gram from the references of this corpus: in a corpus
    of one prediction all weights are 0, and so is the value.
    """
    seen: Counter[tuple[str, ...]] = Counter()
    for all_references in references:
        seen.update({ngram for reference in all_references for counts in reference for ngram in counts})
    everywhere = log(len(predictions)) if predictions else 0.0
    weights = {ngram: everywhere - log(count) for ngram, count in seen.items()}
    segments = []
    for prediction, all_references in zip(predictions, references, strict=True):
        vectors, norms = _weighed(prediction, weights, everywhere)
        similarity = 0.0
        for reference in all_references:
            difference = prediction[1].total() - reference[1].total()
            penalty = e ** (-(difference**2) / (2 * SIGMA**2))
            reference_vectors, reference_norms = _weighed(reference, weights, everywhere)
            for vector, other, norm, other_norm in zip(vectors, reference_vectors, norms, reference_norms, strict=True):
                if norm and other_norm:
                    shared = sum(
                        min(vector[ngram], other[ngram]) * other[ngram] for ngram in vector.keys() & other.keys()
                    )
                    similarity += shared / (norm * other_norm) * penalty
        segments.append(10.0 * similarity / LONGEST_NGRAM / len(all_references))
    return sum(segments) / len(segments), segments


def _weighed(
    ngrams: Ngrams, weights: dict[tuple[str, ...], float], unseen: float
) -> tuple[list[dict[tuple[str, ...], float]], list[float]]:
    vectors = [{ngram: count * weights.get(ngram, unseen) for ngram, count in counts.items()} for counts in ngrams]
    return vectors, [sqrt(sum(value * value for value in vector.values())) for vector in vectors]
