"""The tokens of the Penn Treebank, as nltk's `TreebankWordTokenizer` makes them: those of the profile `wts`.

The rules are the substitutions of R. MacIntyre's sed script for the Penn Treebank in nltk's form: quotes that open,
punctuation, brackets, dashes, quotes that close, contractions, in this order; each sees what the ones before it made. A
period is a token of its own at the end of the text only. White space and digits are those of Python's `re`, as in nltk
3.8.1, with which the official scores are made; nltk 3.10 matches with another engine, to which U+001C to U+001F are no
white space.
"""

from __future__ import annotations

import re

_PLACED = (
    # Quotes that open.
    (r'^"', "``"),
    (r"``", " `` "),
    (r"([ ([{<])(?:\"|'')", r"\1 `` "),
    # A colon or comma is apart unless a digit follows, as in 3,5.
    (r"([:,])(\D)", r" \1 \2"),
    (r"([:,])$", r" \1 "),
    (r"\.\.\.", " ... "),
    (r"([;@#$%&])", r" \1 "),
    (r"([^.])(\.)([\])}>\"']*)\s*$", r"\1 \2\3 "),
    (r"([?!])", r" \1 "),
    (r"([^'])' ", r"\1 ' "),
    (r"([][(){}<>])", r" \1 "),
    (r"--", " -- "),
)
_ENDING = (
    # Quotes that close, and what an apostrophe begins.
    (r"''", " '' "),
    (r'"', " '' "),
    (r"([^' ])('[sSmMdD]|') ", r"\1 \2 "),
    (r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", r"\1 \2 "),
    (r"(?i)\b(can)(not)\b", r" \1 \2 "),
    (r"(?i)\b(d)('ye)\b", r" \1 \2 "),
    (r"(?i)\b(gim)(me)\b", r" \1 \2 "),
    (r"(?i)\b(gon)(na)\b", r" \1 \2 "),
    (r"(?i)\b(got)(ta)\b", r" \1 \2 "),
    (r"(?i)\b(lem)(me)\b", r" \1 \2 "),
    (r"(?i)\b(more)('n)\b", r" \1 \2 "),
    (r"(?i)\b(wan)(na)(?=\s)", r" \1 \2 "),
    (r"(?i) ('t)(is)\b", r" \1 \2 "),
    (r"(?i) ('t)(was)\b", r" \1 \2 "),
)
PLACED, ENDING = ([(re.compile(pattern), put) for pattern, put in rules] for rules in (_PLACED, _ENDING))


def tokenize(text: str) -> list[str]:
    """The tokens of a text, case kept."""
    for pattern, put in PLACED:
        text = pattern.sub(put, text)
    text = f" {text} "
    for pattern, put in ENDING:
        text = pattern.sub(put, text)
    return text.split()
