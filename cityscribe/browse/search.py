"""Finding entries: words in their captions, filters, an order. The answer is one page of the list and a total."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from cityscribe.browse.library import LibraryEntry

Filter = Literal["all", "skipped", "no-boxes", "scored"]
ListOrder = Literal["name", "worst", "best"]

TERM = re.compile(r'"([^"]+)"?|(\S+)')
"""A phrase in quotation marks, or a word."""

OPENING = 150
"""Characters of the first caption that stand below a thumbnail."""

SNIPPET = 60
"""Characters of a caption around what was found, on each side."""


def find(
    entries: Sequence[LibraryEntry], query: str = "", which: Filter = "all", order: ListOrder = "name", split: str = ""
) -> list[LibraryEntry]:
    """The entries in whose text each word (or quoted phrase) of the query stands, small and capital letters alike.

    "worst" and "best" order by points, entries without any behind those that have some; "name" keeps the order of the
    data set.
    """
    terms = [term.casefold() for term in terms_of(query)]
    found = [
        entry
        for entry in entries
        if (not split or entry.split == split) and _passes(entry, which) and all(term in entry.folded for term in terms)
    ]
    if order == "worst":
        found.sort(key=lambda entry: (entry.points is None, entry.points or 0.0))
    elif order == "best":
        found.sort(key=lambda entry: (entry.points is None, -(entry.points or 0.0)))
    return found


def terms_of(query: str) -> list[str]:
    """The words and quoted phrases of a query."""
    return [phrase or word for phrase, word in TERM.findall(query)]


def snippet(text: str, terms: Sequence[str]) -> str:
    """The place of the first term in a text, cut at words; empty where there is no term, or none is found."""
    found = re.search("|".join(map(re.escape, terms)), text, re.IGNORECASE) if terms else None
    if found is None:
        return ""
    line_start, line_end = text.rfind("\n", 0, found.start()) + 1, text.find("\n", found.end())
    line_end = len(text) if line_end < 0 else line_end
    start, end = max(found.start() - SNIPPET, line_start), min(found.end() + SNIPPET, line_end)
    piece = text[start:end]
    if start > line_start:
        piece = "… " + piece.partition(" ")[2]
    return piece.rpartition(" ")[0] + " …" if end < line_end else piece


def opening(text: str) -> str:
    """How the first caption begins, cut at a word; `text` is as `LibraryEntry.text`, the name in its first line."""
    first = (text.split("\n", 2)[1:] or [""])[0]
    return first if len(first) <= OPENING else first[:OPENING].rpartition(" ")[0] + " …"


def row(entry: LibraryEntry, terms: Sequence[str]) -> dict[str, object]:
    """An entry as the list shows it."""
    return {
        "id": entry.id,
        "name": entry.name,
        "split": entry.split,
        "domain": entry.domain,
        "views": entry.views,
        "boxed": entry.boxed,
        "left_out": entry.left_out,
        "points": None if entry.points is None else round(entry.points, 1),
        "snippet": snippet(entry.text, terms),
        "opening": opening(entry.text),
    }


def _passes(entry: LibraryEntry, which: Filter) -> bool:
    if which == "skipped":
        return entry.left_out > 0
    if which == "no-boxes":
        return not entry.boxed
    return which == "all" or entry.points is not None
