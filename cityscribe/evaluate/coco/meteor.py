"""METEOR 1.5 (Denkowski and Lavie, WMT 2014) for English, as pycocoevalcap runs it.

Rank parameters (alpha .85, beta .20, gamma .60, delta .75; exact 1, stem .6, synonym .8, paraphrase .6), captions
normalised. Another metric than METEOR of nltk in the profile `wts`; the two are not comparable.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np
import numpy.typing as npt

from cityscribe.evaluate.coco.aligner import LENGTH, MODULE, REFERENCE_LENGTH, REFERENCE_START, START, Alignment, align
from cityscribe.evaluate.coco.lexicon import Lexicon
from cityscribe.evaluate.coco.matching import Words, candidate_matcher
from cityscribe.evaluate.coco.normalise import normalise
from cityscribe.evaluate.coco.paraphrases import ParaphraseTable

ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
MODULE_WEIGHTS = (1.0, 0.6, 0.8, 0.6)  # exact, stem, synonym, paraphrase

# The statistics of an alignment: words and function words of both captions, for each module the content words and the
# function words that it matches in both captions, chunks, and matched words of both captions.
LENGTHS, FUNCTION_LENGTHS, MODULES, CHUNKS, MATCHED = slice(0, 2), slice(2, 4), slice(4, 20), 20, slice(21, 23)
STATISTICS = 23

Statistics = npt.NDArray[np.int64]


def meteor(
    predictions: Sequence[str], references: Sequence[Sequence[str]], lexicon: Lexicon, table: ParaphraseTable
) -> tuple[float, list[float]]:
    """METEOR in [0, 1] of a corpus, and of each prediction against the best of its references.

    The corpus' value is that of the summed statistics, not a mean.
    """
    predicted = [tuple(normalise(_as_one(text), lexicon.prefixes)) for text in predictions]
    expected = [[tuple(normalise(text, lexicon.prefixes)) for text in texts] for texts in references]
    pairs = sorted({(ours, words) for ours, all_words in zip(predicted, expected, strict=True) for words in all_words})
    captions = {words for pair in pairs for words in pair}
    candidates = candidate_matcher(captions, lexicon, table)
    alignments = align([candidates(*pair) for pair in pairs])
    statistics = {
        pair: _statistics(*pair, alignment, lexicon.function_words)
        for pair, alignment in zip(pairs, alignments, strict=True)
    }
    scores = []
    total = np.zeros(STATISTICS, np.int64)
    for ours, all_words in zip(predicted, expected, strict=True):
        found = [statistics[ours, words] for words in all_words]
        values = [meteor_of(each) for each in found]
        best = values.index(max(values))
        scores.append(values[best])
        total += found[best]
        if _is_perfect(found[best]):
            total[CHUNKS] -= found[best][CHUNKS]  # as the original sums them
    return meteor_of(total), scores


def meteor_of(statistics: Statistics) -> float:
    """METEOR of an alignment, or of the sum of several (sections 2 and 3 of the paper)."""
    lengths, function_lengths = statistics[LENGTHS].tolist(), statistics[FUNCTION_LENGTHS].tolist()
    modules = statistics[MODULES].reshape(len(MODULE_WEIGHTS), 2, 2).tolist()  # [module, content or function, caption]
    weighted = []
    for caption in range(2):
        matched = 0.0
        for weight, (content, function) in zip(MODULE_WEIGHTS, modules, strict=True):
            matched += weight * (DELTA * content[caption] + (1 - DELTA) * function[caption])
        words = DELTA * (lengths[caption] - function_lengths[caption]) + (1 - DELTA) * function_lengths[caption]
        weighted.append(matched / words if words else float("nan"))
    precision, recall = weighted
    if isnan(precision) or isnan(recall) or not precision or not recall:
        return 0.0
    mean = 1 / ((1 - ALPHA) / precision + ALPHA / recall)
    fragmentation = 0.0
    if not _is_perfect(statistics):
        fragmentation = int(statistics[CHUNKS]) / (sum(statistics[MATCHED].tolist()) / 2)
    return float(mean * (1 - GAMMA * fragmentation**BETA))


def _is_perfect(statistics: Statistics) -> bool:
    """Whether both captions match whole in one chunk."""
    return bool(statistics[CHUNKS] == 1 and all(statistics[MATCHED] == statistics[LENGTHS]))


def _statistics(
    prediction: Words, reference: Words, alignment: Alignment, function_words: frozenset[str]
) -> Statistics:
    statistics = np.zeros(STATISTICS, np.int64)
    modules = statistics[MODULES].reshape(len(MODULE_WEIGHTS), 2, 2)
    matches = alignment.matches
    for caption, (words, start, length) in enumerate(
        ((prediction, START, LENGTH), (reference, REFERENCE_START, REFERENCE_LENGTH))
    ):
        function = np.fromiter((word in function_words for word in words), np.int64, len(words))
        before = np.concatenate([[0], np.cumsum(function)])
        matched_function = before[matches[:, start] + matches[:, length]] - before[matches[:, start]]
        statistics[LENGTHS][caption], statistics[FUNCTION_LENGTHS][caption] = len(words), before[-1]
        np.add.at(modules[:, 0, caption], matches[:, MODULE], matches[:, length] - matched_function)
        np.add.at(modules[:, 1, caption], matches[:, MODULE], matched_function)
    statistics[CHUNKS] = alignment.chunks
    statistics[MATCHED] = modules.sum(axis=(0, 1))
    return statistics


def _as_one(text: str) -> str:
    """A prediction as it goes to the original, in whose lines ||| separates captions."""
    return text.replace("|||", "").replace("  ", " ")
