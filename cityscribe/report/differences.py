"""Which words of two captions differ: what a prediction adds to its reference, and what it misses of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import NamedTuple

TOKEN = re.compile(r"\w+(?:[-'’.]\w+)*|[^\w\s]")
"""A word, with what joins its parts ("mid-30s", "1.5"), or one sign."""

MOST_TOKENS = 1000
"""Of one text. The time to compare can grow with the cube of the length, and a caption is a fifth of this at most."""


class TextSpan(NamedTuple):
    """A piece of a text. `differs` says that the other text does not have it in this place."""

    text: str
    differs: bool


def compare(reference: str, prediction: str) -> tuple[list[TextSpan], list[TextSpan]]:
    """Both texts in spans that join to them exactly; small and capital letters count as the same.

    White space belongs to a difference where it stands between two words that differ. Where a sentence is missing the
    mark ends with its full stop, not with that of the sentence before. Texts of more than MOST_TOKENS words and signs
    are not compared: each comes back as one span without a mark.
    """
    texts = reference, prediction
    tokens = [list(TOKEN.finditer(text)) for text in texts]
    if max(map(len, tokens)) > MOST_TOKENS:
        return [TextSpan(reference, False)], [TextSpan(prediction, False)]
    words = [[token.group().casefold() for token in side] for side in tokens]
    same: tuple[set[int], set[int]] = (set(), set())
    for block in SequenceMatcher(None, words[0], words[1], autojunk=False).get_matching_blocks():
        same[0].update(range(block.a, block.a + block.size))
        same[1].update(range(block.b, block.b + block.size))
    for side, kept in zip(words, same, strict=True):
        _slide(side, kept)
    first, second = (_spans(*side) for side in zip(texts, tokens, same, strict=True))
    return first, second


def _slide(words: list[str], same: set[int]) -> None:
    """Move each run of differing words to where it ends with a sign and begins with a word, if it can be moved so.

    Where "The road is dry. The sun shines." lost its first sentence, the words "road is dry. The" are as good an answer
    as "The road is dry.", but people read the latter.
    """
    start = 0
    while start < len(words):
        if start in same:
            start += 1
            continue
        end = start
        while end < len(words) and end not in same:
            end += 1
        left, right = 0, 0
        while start - left - 1 in same and words[start - left - 1] == words[end - left - 1]:
            left += 1
        while end + right in same and words[start + right] == words[end + right]:
            right += 1
        for shift in sorted(range(-left, right + 1), key=abs):
            if not words[end + shift - 1][0].isalnum() and words[start + shift][0].isalnum():
                same.update(range(start, end))
                same.difference_update(range(start + shift, end + shift))
                end = max(end, end + shift)
                break
        start = end


def _spans(text: str, tokens: Iterable[re.Match[str]], same: set[int]) -> list[TextSpan]:
    spans: list[TextSpan] = []
    end = 0

    def add(piece: str, differs: bool) -> None:
        if not piece:
            return
        if spans and spans[-1].differs == differs:
            piece = spans.pop().text + piece
        spans.append(TextSpan(piece, differs))

    before = False
    for index, token in enumerate(tokens):
        differs = index not in same
        add(text[end : token.start()], differs and before)
        add(token.group(), differs)
        end, before = token.end(), differs
    add(text[end:], False)
    return spans
