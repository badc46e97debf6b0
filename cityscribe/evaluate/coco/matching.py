"""The candidate matches of METEOR 1.5: equal words, equal stems, common synonyms, paraphrases.

All modules see all words; the aligner chooses. Where a prediction equals its reference only equal words are matched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cityscribe.evaluate.coco.aligner import MODULE, REFERENCE_START, Candidates
from cityscribe.evaluate.coco.lexicon import Lexicon, synsets_of
from cityscribe.evaluate.coco.paraphrases import ParaphraseTable, find_phrases
from cityscribe.evaluate.coco.porter2 import stem

EXACT, STEM, SYNONYM, PARAPHRASE = range(4)

Words = tuple[str, ...]
Occurrences = list[tuple[int, int, int]]  # first word, number of words, node of the paraphrase table; in this order


class _Phrases(NamedTuple):
    """The phrases of a caption that the paraphrase table knows."""

    occurrences: Occurrences
    places: dict[int, list[tuple[int, int]]]  # node -> first word, number of words


def candidate_matcher(
    captions: Iterable[Words], lexicon: Lexicon, table: ParaphraseTable
) -> Callable[[Words, Words], Candidates]:
    """A function of a prediction and a reference, both among the captions, that gives their candidate matches."""
    distinct = sorted(set(captions))
    related = _related_words(sorted({word for caption in distinct for word in caption}), lexicon)
    phrases, paraphrases = _phrases(distinct, table)

    def candidates(prediction: Words, reference: Words) -> Candidates:
        places: dict[str, list[int]] = {}
        for place, word in enumerate(prediction):
            places.setdefault(word, []).append(place)
        rows = [(start, 1, place, 1, EXACT) for place, word in enumerate(reference) for start in places.get(word, ())]
        if prediction != reference:
            for place, word in enumerate(reference):
                for module, others in related.get(word, ()):
                    starts = sorted(start for other in others & places.keys() for start in places[other])
                    rows += [(start, 1, place, 1, module) for start in starts]
            here, there = phrases[prediction], phrases[reference]
            for place, count, node in there.occurrences:
                for start, length in _places_of(paraphrases[node], here):
                    rows.append((start, length, place, count, PARAPHRASE))
            for start, length, node in here.occurrences:
                for place, count in _places_of(paraphrases[node], there):
                    rows.append((start, length, place, count, PARAPHRASE))
        matches = np.array(rows, np.int64).reshape(-1, 5)
        # Equal modules stand together already, in the order of the tables: a stable sort keeps that.
        order = np.lexsort((matches[:, MODULE], matches[:, REFERENCE_START]))
        return Candidates(len(prediction), len(reference), matches[order])

    return candidates


def _related_words(vocabulary: Sequence[str], lexicon: Lexicon) -> dict[str, list[tuple[int, frozenset[str]]]]:
    """For each word that has any, the other words of its stem and of its synsets."""
    by_stem: dict[str, set[str]] = {}
    by_synset: dict[str, set[str]] = {}
    synsets = {word: synsets_of(lexicon, word) for word in vocabulary}
    for word in vocabulary:
        by_stem.setdefault(stem(word), set()).add(word)
        for synset in synsets[word]:
            by_synset.setdefault(synset, set()).add(word)
    related = {}
    for word in vocabulary:
        stems = frozenset(by_stem[stem(word)] - {word})
        synonyms = frozenset(set().union(*(by_synset[synset] for synset in synsets[word])) - {word})
        related[word] = [(module, others) for module, others in ((STEM, stems), (SYNONYM, synonyms)) if others]
    return related


def _phrases(
    captions: Sequence[Words], table: ParaphraseTable
) -> tuple[dict[Words, _Phrases], dict[int, dict[int, int]]]:
    """The phrases of each caption that have a paraphrase in any of them, and for each these paraphrases, numbered in
    the order of the table."""
    # All captions in one row, an empty word after each: no phrase crosses one.
    row = [word for caption in captions for word in (*caption, "")]
    by_length = find_phrases(table, row)
    present = np.zeros(len(table.starts), bool)
    for nodes in by_length:
        present[nodes[nodes >= 0]] = True
    paraphrases = _paraphrases(present, table)
    useful = np.zeros(len(table.starts), bool)
    useful[[*paraphrases, *(other for others in paraphrases.values() for other in others)]] = True
    owner = np.repeat(np.arange(len(captions)), [len(caption) + 1 for caption in captions])
    first = np.cumsum([0] + [len(caption) + 1 for caption in captions])
    phrases = {caption: _Phrases([], {}) for caption in captions}
    for length, nodes in enumerate(by_length, start=1):
        known = np.flatnonzero((nodes >= 0) & useful[nodes])
        owners = owner[known]
        starts = known - first[owners]
        for index, start, node in zip(owners.tolist(), starts.tolist(), nodes[known].tolist(), strict=True):
            found = phrases[captions[index]]
            found.places.setdefault(node, []).append((start, length))
            if node in paraphrases:
                found.occurrences.append((start, length, node))
    for found in phrases.values():
        found.occurrences.sort()
    return phrases, paraphrases


def _paraphrases(present: npt.NDArray[np.bool_], table: ParaphraseTable) -> dict[int, dict[int, int]]:
    found = {}
    for node in np.flatnonzero(present).tolist():
        others = table.pairs[table.starts[node] : table.starts[node + 1]]
        if len(others) and len(known := others[present[others]]):
            found[node] = {other: number for number, other in enumerate(known.tolist())}
    return found


def _places_of(others: dict[int, int], caption: _Phrases) -> list[tuple[int, int]]:
    """Where paraphrases stand in a caption, in the order of the table."""
    common = others.keys() & caption.places.keys()
    return [place for other in sorted(common, key=others.__getitem__) for place in caption.places[other]]
