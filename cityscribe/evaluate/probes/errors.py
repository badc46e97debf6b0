"""Errors that are put into a text, one of a kind: what a check of reports has to find.

    inject("The man in the red coat walks to the left.", "side", Random(0))
    -> "The man in the red coat walks to the right."

Kinds as in the error-checking of radiology reports (Wu et al. 2023, arXiv 2312.13103), in words of streets: a sentence
is put in or left out, a side, a colour, an object or a number is another. Only words of the tables are changed, so that
a text that has none of a kind gets no error of it.
"""

from __future__ import annotations

import re
from random import Random

KINDS = ("insert", "remove", "side", "colour", "object", "count")

SIDES = (("left", "right"), ("in front of", "behind"), ("near", "far from"))

COLOURS = (
    *("black", "white", "gray", "grey", "red", "blue", "green", "yellow", "brown", "orange", "pink", "purple"),
    "silver",
)

OBJECTS = (
    ("T-shirt", "jacket", "coat"),
    ("trousers", "shorts"),
    ("backpack", "handbag", "umbrella"),
    ("sedan", "SUV", "van", "truck", "bus"),
    ("car", "bicycle", "motorcycle", "tram"),
    ("traffic light", "stop sign", "barrier"),
)

TABLES: dict[str, tuple[tuple[str, ...], ...]] = {"side": SIDES, "colour": (COLOURS,), "object": OBJECTS}

COUNTS = ("one", "two", "three", "four", "five", "six")

ADDED = (
    "A deer stands beside the road.",
    "A tram is coming from behind.",
    "Two police officers are directing the traffic.",
    "A fire burns next to the pavement.",
)

SENTENCE = re.compile(r"(?<=[.!?])\s+")


def inject(text: str, kind: str, draw: Random) -> str | None:
    """The text with one error of a kind; None where it has nothing that could be wrong in this way."""
    sentences = SENTENCE.split(text.strip())
    if kind == "insert":
        place = draw.randrange(len(sentences) + 1)
        return " ".join([*sentences[:place], draw.choice(ADDED), *sentences[place:]])
    if kind == "remove":
        if len(sentences) < 2:
            return None
        gone = draw.randrange(len(sentences))
        return " ".join(sentence for n, sentence in enumerate(sentences) if n != gone)
    if kind == "count":
        return _counted_otherwise(text, draw)
    tables = TABLES[kind]
    found = [
        (match, word, table)
        for table in tables
        for word in table
        for match in re.finditer(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)
        if kind != "side" or not _names_both(text, match, table)
    ]
    if not found:
        return None
    match, word, table = draw.choice(found)
    alike = ("gray", "grey") if word in ("gray", "grey") else (word,)
    return _put(text, match, draw.choice([one for one in table if one not in alike]))


def _names_both(text: str, match: re.Match[str], table: tuple[str, ...]) -> bool:
    """Whether the sentence of a word names all words of its table: "left and right" would become "left and left"."""
    start = max(text.rfind(mark, 0, match.start()) for mark in ".!?") + 1
    sentence = SENTENCE.split(text[start:].strip())[0].lower()
    return all(word in sentence for word in table)


def _counted_otherwise(text: str, draw: Random) -> str | None:
    found = list(re.finditer(rf"\b(?:\d+|{'|'.join(COUNTS)})\b", text, re.IGNORECASE))
    if not found:
        return None
    match = draw.choice(found)
    if match[0].isdigit():
        number = int(match[0])
        return _put(text, match, str(number + max(1, round(number * draw.choice((0.25, 0.5))))))
    return _put(text, match, draw.choice([one for one in COUNTS if one != match[0].lower()]))


def _put(text: str, match: re.Match[str], word: str) -> str:
    """A word in the place of another one, with its capital, and the article that it asks for."""
    word = word[:1].upper() + word[1:] if match[0][:1].isupper() and word.islower() else word
    before = text[: match.start()]
    article = re.search(r"\b([Aa])n? $", before)
    if article:
        before = before[: article.start()] + article[1] + ("n " if word[:1].lower() in "aeiou" else " ")
    return before + word + text[match.end() :]
