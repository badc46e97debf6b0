"""METEOR of one caption against one reference, as `meteor_score` of nltk gives it.

This is nltk's METEOR with its defaults, which is not the METEOR 1.5 of its authors: other weights, no paraphrases, no
function words. Scores of the two are not comparable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cityscribe.evaluate.wordnet import synonyms
from cityscribe.evaluate.words import stem

ALPHA, BETA, GAMMA = 0.9, 3.0, 0.5

Free = dict[str, list[int]]  # a word of the reference -> its positions that are not matched yet, in ascending order
Matches = dict[int, int]  # position in the prediction -> position in the reference


def meteor(reference: Sequence[str], prediction: Sequence[str]) -> float:
    """METEOR in [0, 1) of a prediction against a reference, both as Treebank tokens (Lavie and Agarwal, WMT 2007).

    Words are lower-cased and matched one to one: first equal words, then words with equal stems, then words of which
    the stem of the reference's is a WordNet synonym of the stem of the prediction's. nltk looks up stems, not words,
    so that `vehicl` finds nothing; that is kept. The score is the weighted mean of precision and recall (alpha .9)
    less a penalty of half the cube of chunks per match (beta 3, gamma .5), a chunk being a run of matches that are
    neighbours in both captions. Without a match it is 0.
    """
    matches: Matches = {}
    free = _positions(enumerate(map(str.lower, reference)))
    # Everything goes from the last word of the prediction to the first, and takes the last free word of the reference.
    words = zip(range(len(prediction) - 1, -1, -1), map(str.lower, reversed(prediction)), strict=True)
    unmatched = _match_equal(words, free, matches)
    free = _positions(sorted((position, stem(word)) for word, positions in free.items() for position in positions))
    unmatched = _match_equal([(position, stem(word)) for position, word in unmatched], free, matches)
    _match_synonyms(unmatched, free, matches)
    if not matches:
        return 0.0
    precision, recall = len(matches) / len(prediction), len(matches) / len(reference)
    mean = (precision * recall) / (ALPHA * precision + (1 - ALPHA) * recall)
    penalty = GAMMA * (_chunk_count(matches) / len(matches)) ** BETA
    return (1 - penalty) * mean


def _positions(words: Iterable[tuple[int, str]]) -> Free:
    free: Free = {}
    for position, word in words:
        if word in free:
            free[word].append(position)
        else:
            free[word] = [position]
    return free


def _match_equal(words: Iterable[tuple[int, str]], free: Free, matches: Matches) -> list[tuple[int, str]]:
    """Match words with equal words; they go from `free` to `matches`. Returns the words without a match."""
    unmatched = []
    for position, word in words:
        if positions := free.get(word):
            matches[position] = positions.pop()
        else:
            unmatched.append((position, word))
    return unmatched


def _match_synonyms(words: Iterable[tuple[int, str]], free: Free, matches: Matches) -> None:
    """Match words with words that are synonyms of them; they go from `free` to `matches`."""
    for position, word in words:
        if candidates := [found for found in synonyms(word).intersection(free) if free[found]]:
            matches[position] = max((free[found] for found in candidates), key=lambda positions: positions[-1]).pop()


def _chunk_count(matches: Matches) -> int:
    """In how many runs the matches fall that are neighbours, in the same order, in both captions."""
    return sum(matches.get(position - 1, -2) + 1 != matched for position, matched in matches.items())
