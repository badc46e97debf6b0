"""Reading a traffic caption into facts, by rules: which attributes of the road users and the scene it states.

    read_attributes("The pedestrian, a male in his 30s, ...") == {"sex": "male", "age": "30s", ...}

The rules are `attributes.yaml`: for each attribute its values and the wordings that state them, those of the captions
of WTS and BDD_PC_5K first of all. Nothing is guessed. An attribute that a caption does not state in these words is
absent, one that it states in two ways is UNCLEAR, and `unread_sentences` gives the sentences in which nothing was read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from cityscribe.plain_yaml import parse_yaml

UNCLEAR = "?"
"""The value of an attribute that a caption states in two ways."""

RULES = "attributes.yaml"

SENTENCE_END = re.compile(r"(?<=[.!?])[\"”')]*(?:\s+|(?=[A-Z][a-z]))")
"""White space after a full stop; or nothing, where the space was forgotten ("present.Overall")."""

CLAUSE_START = re.compile(
    r",? (?:and|but|while|when|although|though|as) (?=(?:the (?:pedestrian|vehicle|cyclist|driver|car)|he|she|it)\b)"
    r"|,? (?=(?:who|which) )"
)
MENTION = re.compile(
    r"\b(?:(?P<pedestrian>pedestrian|cyclist|victim|who|he|she|him|his|her|person|man|woman|male|female)"
    r"|(?P<vehicle>vehicle|car|driver|it|its))\b"
)
QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " "})


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute and the wordings that state it."""

    name: str
    about: str  # "pedestrian", "vehicle" or "scene"
    of: str  # the road user whose clauses count, empty for all
    fixed: bool  # cannot change within a scenario
    covers: Mapping[str, tuple[str, ...]]  # a vague value -> what it is compatible with
    says: tuple[tuple[str | None, re.Pattern[str]], ...]  # value with {1} for groups; None: says nothing


@dataclass(frozen=True, slots=True)
class Statement:
    """A stretch of a caption that states a value of an attribute. Places are in the caption as `tidy` makes it."""

    attribute: str
    value: str
    start: int
    end: int
    sentence: tuple[int, int]  # start and end of the sentence that it stands in, the stop not counted
    wording: int  # the number of the wording of its attribute that it is in


@cache
def attributes() -> dict[str, Attribute]:
    """All attributes by name, in the order of the rules."""
    rules = _rules()
    return {
        name: Attribute(
            name=name,
            about=rule["about"],
            of=rule.get("of", ""),
            fixed=rule.get("fixed", False),
            covers={value: tuple(map(str, others)) for value, others in rule.get("covers", {}).items()},
            says=tuple(
                (None if value is None else str(value), re.compile(_with_words(pattern, rules["words"])))
                for entry in rule["says"]
                for value, pattern in entry.items()
            ),
        )
        for name, rule in rules["attributes"].items()
    }


def read_attributes(caption: str) -> dict[str, str]:
    """What a caption states, by attribute; UNCLEAR where it states it in two ways that do not go together."""
    found: dict[str, set[str]] = {}
    for sentence in _sentences(caption):
        for name, value in _read_sentence(sentence):
            found.setdefault(name, set()).add(value)
    known = attributes()
    return {name: _one_value(found[name], known[name].covers) for name in known if name in found}


def statements(caption: str) -> list[Statement]:
    """Where a caption states what `read_attributes` reads in it, in the order of sentences and rules."""
    whole = tidy(caption)
    found = []
    start = 0
    for end in [*(match.start() for match in SENTENCE_END.finditer(whole)), len(whole)]:
        piece = whole[start:end].rstrip(".!? ")
        lowered = piece.lower()
        if len(lowered) == len(piece):  # a few letters of other languages grow when they are lowered
            found += [
                Statement(name, value, start + first, start + last, (start, start + len(piece)), wording)
                for name, value, first, last, wording in _stated(lowered)
            ]
        space = SENTENCE_END.match(whole, end)
        start = space.end() if space is not None else end
    return found


def tidy(caption: str) -> str:
    """A caption with plain quotes and single spaces."""
    return " ".join(caption.translate(QUOTES).split())


def unread_sentences(caption: str) -> tuple[str, ...]:
    """The sentences of a caption in which no attribute was read, lower-cased."""
    return tuple(sentence for sentence in _sentences(caption) if not _read_sentence(sentence))


def sentence_counts(captions: Iterable[str]) -> dict[str, int]:
    """How many sentences captions have together, and in how many of them nothing was read."""
    counts = {"sentences": 0, "unread": 0}
    for caption in captions:
        counts["sentences"] += len(_sentences(caption))
        counts["unread"] += len(unread_sentences(caption))
    return counts


def agrees(name: str, first: str, other: str) -> bool:
    """Whether two values of an attribute go together: equal, or one covers the other. UNCLEAR agrees with nothing."""
    covers = attributes()[name].covers
    return first == other != UNCLEAR or other in covers.get(first, ()) or first in covers.get(other, ())


def rules_sha256() -> str:
    """The SHA-256 of the rules, in hexadecimal: attribute scores by other rules are not comparable."""
    return hashlib.sha256(_rules_text()).hexdigest()


def _one_value(values: set[str], covers: Mapping[str, tuple[str, ...]]) -> str:
    """The value of a set, less the vague ones that go with another; UNCLEAR where more than one is left."""
    precise = {value for value in values if not values.intersection(covers.get(value, ()))}
    return precise.pop() if len(precise) == 1 else UNCLEAR


@lru_cache(maxsize=1 << 14)
def _sentences(caption: str) -> tuple[str, ...]:
    pieces = SENTENCE_END.split(tidy(caption))
    return tuple(sentence.rstrip(".!? ").lower() for sentence in pieces if sentence.strip(".!? "))


@lru_cache(maxsize=1 << 16)  # annotators repeat themselves, and models more so
def _read_sentence(sentence: str) -> tuple[tuple[str, str], ...]:
    """The attributes that one sentence states, each with every value that it gives."""
    return tuple(dict.fromkeys((name, value) for name, value, *_ in _stated(sentence)))


def _stated(sentence: str) -> Iterator[tuple[str, str, int, int, int]]:
    """The attributes that one sentence states, each value with the places where its words begin and end, and the number
    of its wording."""
    same: Mapping[str, str] = _rules()["same"]
    clauses = list(_clauses(sentence))
    for attribute in attributes().values():
        for subject, start, clause in clauses if attribute.of else [("", 0, sentence)]:
            if subject != attribute.of:
                continue
            for wording, (value, pattern) in enumerate(attribute.says):
                for match in pattern.finditer(clause):
                    if value is not None:
                        stated = value.format(match[0], *(same.get(group, group) for group in match.groups()))
                        yield (
                            attribute.name,
                            same.get(stated, stated),
                            start + match.start(),
                            start + match.end(),
                            wording,
                        )
                clause = pattern.sub(_blank, clause)


def _clauses(sentence: str) -> Iterator[tuple[str, int, str]]:
    """The clauses of a sentence, each with its place and the road user that it is about: the first that it names, for
    "which" the last of the clause before, and where it names none the one of the clause before."""
    subject = last = ""
    start = 0
    for end in [*(match.end() for match in CLAUSE_START.finditer(sentence)), len(sentence)]:
        clause = sentence[start:end]
        mentions = [mention.lastgroup or "" for mention in MENTION.finditer(clause)]
        if clause.startswith("which "):
            subject = last
        elif mentions:
            subject = mentions[0]
        last = mentions[-1] if mentions else last
        yield subject, start, clause.removesuffix(" ")
        start = end


def _blank(match: re.Match[str]) -> str:
    # A sign that no pattern asks for, so that what stood on both sides does not grow together.
    return "|" * len(match[0])


@cache
def _rules() -> dict[str, Any]:
    loaded: dict[str, Any] = parse_yaml(_rules_text().decode(), RULES)[0]
    return loaded


@cache
def _rules_text() -> bytes:
    return files(__package__).joinpath(RULES).read_bytes()


def _with_words(pattern: str, words: Mapping[str, str]) -> str:
    """A pattern with the alternatives of its words, the longest first: "navy blue" before "navy"."""
    for name, alternatives in words.items():
        if f"{{{name}}}" in pattern:
            longest = "|".join(sorted(alternatives.split("|"), key=len, reverse=True))
            pattern = pattern.replace(f"{{{name}}}", longest if "(?:" not in alternatives else alternatives)
    return pattern
