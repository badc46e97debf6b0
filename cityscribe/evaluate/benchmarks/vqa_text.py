"""Answers made comparable as the VQA challenge and EvalAI do it, letter for letter.

`official` follows `vqaEval.py` of GT-Vision-Lab/VQA (a013f00), `evalai` the processor of M4C that LLaVA applies before
it hands answers in. What looks odd in them is part of the rule: most punctuation becomes a space but vanishes where a
space stands beside it somewhere, all of it vanishes where a comma stands between digits, and only the first 32 periods
are taken out.
"""

from __future__ import annotations

import re
from functools import lru_cache

PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
PERIOD = re.compile(r"\.(?!\d)")
MOST_PERIODS = 32  # the official scripts pass the flag re.UNICODE, which is 32, as the count
COMMA_IN_NUMBER = re.compile(r"\d,\d")
ARTICLES = frozenset(("a", "an", "the"))
NUMBERS = {
    "none": "0",
    **{
        word: str(n)
        for n, word in enumerate(
            ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
        )
    },
}

CONTRACTED = [
    "ain't",
    "aren't",
    "can't",
    "could've",
    "couldn't",
    "couldn't've",
    "didn't",
    "doesn't",
    "don't",
    "hadn't",
    "hadn't've",
    "hasn't",
    "haven't",
    "he'd",
    "he'd've",
    "he's",
    "how'd",
    "how'll",
    "how's",
    "isn't",
    "it'd",
    "it'd've",
    "it'll",
    "ma'am",
    "mightn't",
    "mightn't've",
    "might've",
    "mustn't",
    "must've",
    "needn't",
    "not've",
    "o'clock",
    "oughtn't",
    "'ow's'at",
    "shan't",
    "she'd've",
    "should've",
    "shouldn't",
    "shouldn't've",
    "somebody'd've",
    "somebody'll",
    "somebody's",
    "someone'd",
    "someone'd've",
    "someone'll",
    "someone's",
    "something'd",
    "something'd've",
    "something'll",
    "that's",
    "there'd",
    "there'd've",
    "there're",
    "there's",
    "they'd",
    "they'd've",
    "they'll",
    "they're",
    "they've",
    "'twas",
    "wasn't",
    "we'd've",
    "we've",
    "weren't",
    "what'll",
    "what're",
    "what's",
    "what've",
    "when's",
    "where'd",
    "where's",
    "where've",
    "who'd",
    "who'd've",
    "who'll",
    "who's",
    "who've",
    "why'll",
    "why're",
    "why's",
    "won't",
    "would've",
    "wouldn't",
    "wouldn't've",
    "y'all",
    "y'all'll",
    "y'all'd've",
    "you'd",
    "you'd've",
    "you'll",
    "you're",
    "you've",
]


def _without_one_apostrophe(word: str) -> list[str]:
    return [word[:place] + word[place + 1 :] for place, letter in enumerate(word) if letter == "'"]


CONTRACTIONS = {
    **{typed: word for word in CONTRACTED for typed in _without_one_apostrophe(word)},
    "somebody'd": "somebodyd",  # the other way round in the official table
}
"""What annotators type -> the contraction: an apostrophe is missing. Its capitalised entries never match and are left
out here, because words are lower-cased before they are looked up."""


@lru_cache(maxsize=1 << 17)
def official(text: str) -> str:
    """Punctuation, numbers and articles as `vqaEval.py` treats them, after the blanks of `spaced`."""
    return _words(_punctuation(text))


@lru_cache(maxsize=1 << 17)
def evalai(text: str) -> str:
    """An answer as M4C's processor gives it, of any text as it comes."""
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    return _words(_punctuation(spaced(text)))


def spaced(text: str) -> str:
    """Line breaks and tabs as spaces, none at the ends: all that happens to answers on which annotators agree."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def _punctuation(text: str) -> str:
    vanish = COMMA_IN_NUMBER.search(text) is not None
    cleaned = text
    for mark in PUNCTUATION:
        if mark in text:
            beside_space = f"{mark} " in text or f" {mark}" in text
            cleaned = cleaned.replace(mark, "" if vanish or beside_space else " ")
    return PERIOD.sub("", cleaned, count=MOST_PERIODS)


def _words(text: str) -> str:
    words = (NUMBERS.get(word, word) for word in text.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)
