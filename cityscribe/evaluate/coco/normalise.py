"""How METEOR 1.5 normalises a caption before it compares words (its option -norm for English).

Written from the described behaviour and checked against the original; much of it is the rules of the Moses tokenizer.
Captions that come from the Treebank tokenizer hardly change, so words are normalised once and remembered.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ")
DOT = "\0"  # stands for each dot of a run, which no rule of single dots changes; no caption holds this character
# What METEOR takes for letters: Latin, Cyrillic and phonetic ones. It puts spaces around all others.
LETTERS = "A-Za-zÀ-ÖØ-öø-ž\u0400-\u0527\u1d00-\u1d7f\ua640-\ua66e\ua67e-\ua697"


LETTER = re.compile(f"[{LETTERS}]")


class Prefixes(NamedTuple):
    """Abbreviations whose dot ends no sentence."""

    always: frozenset[str]  # such as Dr
    before_digit: frozenset[str]  # such as No


def normalise(text: str, prefixes: Prefixes) -> list[str]:
    """The lower-case words of a caption."""
    if PLAIN.issuperset(text):
        return text.lower().split()
    words = text.split(" ")
    # Only the rules of dots look at a neighbouring word.
    if text.isprintable() and ". " not in text and not text.endswith("."):
        return [part for word in words if word for part in _normalise_word(word)]
    return _normalise(text, prefixes)


@lru_cache(maxsize=1 << 16)
def _normalise_word(word: str) -> tuple[str, ...]:
    return tuple(_normalise(word, Prefixes(frozenset(), frozenset())))


def _normalise(text: str, prefixes: Prefixes) -> list[str]:
    text = f" {text} "
    for rule in SYMBOL_RULES:
        text = rule(text)
    words = [word for word in _spaces(text).split(" ") if word]
    following = [*words[1:], ""]
    text = " ".join(_dots(word, after, prefixes) for word, after in zip(words, following, strict=False))
    text = _wide_spaces(text.replace(DOT, "."))
    return [word for word in text.lower().split(" ") if word]


def _dots(word: str, after: str, prefixes: Prefixes) -> str:
    """What becomes of the dot at the end of a word, by the word that follows."""
    if not word.endswith(".") or word == ".":
        return word
    stem = word[:-1]
    if "." in stem and LETTER.search(stem):
        return word.replace(".", "")
    if (
        stem in prefixes.always
        or "a" <= after[:1] <= "z"
        or (stem in prefixes.before_digit and "0" <= after[:1] <= "9")
    ):
        return word
    return f"{stem} ."


def _rule(pattern: str, by: str) -> Callable[[str], str]:
    compiled = re.compile(pattern.replace("<L>", LETTERS))
    return lambda text: compiled.sub(by, text)


def _runs_of_dots(text: str) -> str:
    return re.sub(r"\.{2,}", lambda found: f" {DOT * len(found[0])} ", text)


# Rules that take up what stands beside a sign: of two signs in a row the second may stay as it is.
SYMBOL_RULES = (
    _rule(r"([^<L>0-9\t-\r .'`,\-‘’])", r" \1 "),
    _runs_of_dots,
    _rule(r"([^0-9]),([^0-9])", r"\1 , \2"),
    _rule(r"([0-9]),([^0-9])", r"\1 , \2"),
    _rule(r"([^0-9]),([0-9])", r"\1 , \2"),
    _rule(r"[`‘’]", "'"),
    _rule(r"''|[“”]", ' " '),
    _rule(r"–|--", "-"),
    _rule(r"(?<=[<L>0-9.])-(?=[<L>0-9])", " "),
    _rule(r"([^<L>])'([^<L>])", r"\1 ' \2"),
    _rule(r"([^<L>0-9])'([<L>])", r"\1 ' \2"),
    _rule(r"([<L>])'([^<L>])", r"\1 ' \2"),
    _rule(r"([<L>])'([<L>])", r"\1 '\2"),
    _rule(r"([0-9])'(s)", r"\1 '\2"),
)
_spaces = _rule(r"[\t\n\f\r]", " ")
_wide_spaces = _rule("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]", " ")
