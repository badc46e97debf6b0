"""Treebank tokens of a caption as the profile `coco` compares them: lower-cased, without punctuation.

These are the tokens of the PTBTokenizer that pycocoevalcap calls (CoreNLP 3.4.1, -lowerCase), without those that it
drops afterwards. The lexer finds them; here they are brought to the form in which the original writes them.

Two things are otherwise on purpose. A line break of any kind within a caption is a space, where the original takes a
new caption to begin and shifts all that follow. And a caption is read by itself, where the original lets the first
word of the next one decide whether a final `B.` keeps its dot.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from cityscribe.evaluate.coco.lexer import lexer

DROPPED = frozenset(("''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"))
"""pycocoevalcap drops these. It means brackets too, but looks for them in upper case."""

QUOTES = str.maketrans(
    {"’": "'", "‛": "`", "‘": "`", "“": "``", "”": "''", "«": "``", "»": "''", "‹": "`", "›": "'"}
    | {"\x91": "`", "\x92": "'", "\x93": "``", "\x94": "''"}
)
BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
ROUND = str.maketrans({"(": "-lrb-", ")": "-rrb-"})
SIGNS = {
    **{
        "½": "1/2",
        "¼": "1/4",
        "¾": "3/4",
        "⅓": "1/3",
        "⅔": "2/3",
        "¢": "cents",
        "€": "$",
        "£": "#",
        "¤": "$",
        "₠": "$",
    },
    **{"&lt;": "<", "&gt;": ">", "&amp;": "&"},
    **BRACKETS,
}
QUOTES_AND_CLITICS, APOSTROPHE, DASHES, DASH, ELLIPSIS = (8, 26, 36), 35, 4, 11, 13
ADDRESSES = (3, 41, 45)
"""Rules of web and mail addresses, and of much that is written as it stands."""

WITH_BRACKETS = (28, 34, 54)
"""Rules of emoticons and of telephone numbers."""

WITH_SPACES = (27, 39, 54)
"""Rules of tags, fractions and telephone numbers, whose spaces do not part tokens."""


def caption_tokens(caption: str) -> list[str]:
    """The tokens of a caption, lower-cased, those of punctuation left out. Brackets stay, as `-lrb-` and the like."""
    tokens = (_written(text, rule) for text, rule in lexer().scan(one_line(caption) + "\n"))
    return [token for token in tokens if token and token not in DROPPED]


def one_line(caption: str) -> str:
    """A caption with a space in the place of every character that ends a line somewhere, and of half characters."""
    if caption.isprintable():
        return caption
    return "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") else c for c in caption)


@lru_cache(maxsize=1 << 16)
def _written(text: str, rule: int) -> str:
    """A token in the form in which the original writes it, in lower case; empty for a quotation mark, which is dropped
    however it is written."""
    if text in ('"', "&quot;", "&apos;") or rule in (APOSTROPHE, DASH, ELLIPSIS) or (rule == DASHES and len(text) < 5):
        return ""
    if rule in QUOTES_AND_CLITICS:
        return _lower(text.replace("&apos;", "'").replace("\xad", "")).translate(QUOTES)
    if rule not in ADDRESSES:
        text = text.replace("\xad", "").replace("&amp;", "&")
    word = _lower(text)
    if rule in WITH_BRACKETS:
        word = word.translate(ROUND)
    if rule in WITH_SPACES:
        return word.replace(" ", "\xa0")
    return SIGNS.get(word, word)


BEFORE_IN_WORD = re.compile(r"(?:[.'’]?[\w\u0300-\u036f\xad]|(?<=[^\W\d_])-(?=[^\W\d_]|$))*[.'’]?$")
BEHIND_IN_WORD = re.compile(r"(?:[.'’]?[\w\u0300-\u036f\xad]|(?:^|(?<=[^\W\d_]))-(?=[^\W\d_]))*")


def _lower(text: str) -> str:
    """Lower case as Java makes it: a sigma is final where a letter that has cases stands before it in its word and
    none behind, and a hyphen between letters parts no word."""
    if "Σ" not in text:
        return text.lower()
    return "".join(
        ("ς" if _final(text[:place], text[place + 1 :]) else "σ") if character == "Σ" else character.lower()
        for place, character in enumerate(text)
    )


def _final(before: str, behind: str) -> bool:
    start, end = BEFORE_IN_WORD.search(before), BEHIND_IN_WORD.match(behind)
    around = (before[start.start() :] if start else "", behind[: end.end()] if end else "")
    left, right = (any(unicodedata.category(c) in ("Lu", "Ll", "Lt") for c in part) for part in around)
    return left and not right
