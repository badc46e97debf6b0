"""ROUGE-L of one caption against one reference, as `rouge_score` gives its F1 with stemming."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

from cityscribe.evaluate.words import REMEMBERED_WORDS, stem

WORD = re.compile(r"[a-z0-9]+")
LONGEST_UNSTEMMED = 3  # characters


def rouge_l(reference: str, prediction: str) -> float:
    """ROUGE-L F1 in [0, 1] of a prediction against a reference, both as raw text (Lin, 2004).

    Tokens are the runs of ASCII letters and digits of the lower-cased text; those of more than three characters are
    stemmed. F1 is of the length of the longest common subsequence over each length; without a common token it is 0.
    """
    reference_stems, prediction_stems = _stems(reference), _stems(prediction)
    common = common_length(reference_stems, prediction_stems)
    if not common:
        return 0.0
    precision, recall = common / len(prediction_stems), common / len(reference_stems)
    return 2 * precision * recall / (precision + recall)


def _stems(text: str) -> list[str]:
    return list(chain.from_iterable(map(_stems_in, text.split())))


@lru_cache(maxsize=REMEMBERED_WORDS)
def _stems_in(word: str) -> tuple[str, ...]:
    """The stems of what stands between two spaces, where no token goes on beyond."""
    return tuple(stem(run) if len(run) > LONGEST_UNSTEMMED else run for run in WORD.findall(word.lower()))


def common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence, by the bit-parallel method of Hyyrö (2004).

    Bit i of a row stands for token i of `first`; a cleared bit is a place where the length of the table grows by one.
    So one addition of long integers does the work of a whole row of the table.
    """
    places: dict[str, int] = {}
    for index, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << index
    everywhere = row = (1 << len(first)) - 1
    for token in second:
        if here := row & places.get(token, 0):
            row = row + here | row - here  # what is carried beyond the last place meets no token
    return len(first) - (row & everywhere).bit_count()
