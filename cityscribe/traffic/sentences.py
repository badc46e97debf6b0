"""Splitting a caption into sentences."""

from __future__ import annotations

import re

ABBREVIATIONS = frozenset("approx appr ca cf dr e.g fig i.e max min mr mrs ms no nr prof resp st vs".split())  # noqa: SIM905
"""Words whose full stop ends no sentence."""

SOMETIMES_LAST = frozenset("a.m p.m etc sec hr ft in km cm mm m h kph mph".split())  # noqa: SIM905
"""Abbreviations that may end a sentence: they do where a capital letter follows. Without a full stop they are words."""

STOP = re.compile(r"(?<![.!?])[.!?]+[\"'”’)\]]*(?=\s)|(?<=[a-z0-9)])\.(?=[A-Z][a-z])")
"""Where a sentence may end: before white space, or where the space after it was forgotten ("present.Overall")."""


def split_sentences(text: str) -> list[str]:
    """The sentences of a caption in order, none empty; joined by spaces they are the caption with white space tidied.

    "approx. 160 cm", "3.5 m", "e.g. a bag" and "at 10 a.m. on a weekday" do not end a sentence, "10 km/h." and "30s."
    do. (A space that was forgotten between two sentences appears in the joined text.)
    """
    tidy = " ".join(text.split())
    sentences = []
    start = 0
    for stop in STOP.finditer(tidy):
        if _goes_on(tidy[start : stop.start()], stop.group(), tidy[stop.end() :].lstrip()):
            continue
        sentences.append(tidy[start : stop.end()].strip())
        start = stop.end()
    sentences.append(tidy[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _goes_on(before: str, stop: str, after: str) -> bool:
    if not stop.startswith(".") or stop.startswith(".."):
        return False
    last = before.rsplit(" ", 1)[-1].lstrip("(\"'“‘").lower()
    if last in SOMETIMES_LAST and not after[:1].isupper():
        return True
    initial = len(last) == 1 and last.isalpha() and before[-1].isupper()
    return initial or last in ABBREVIATIONS
