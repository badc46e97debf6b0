"""Reading a caption back: which facts it states, in the wordings of `words.py`.

    read_caption(pedestrian_caption(facts, hand)) states what is in `facts`, whoever's hand it is

Nothing is guessed. An attribute that a caption does not state in one of those wordings is absent, and one that it
states in two ways has the value `CONTRADICTED`, so that a text that says everything is right about nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from cityscribe.world.facts import Facts
from cityscribe.world.look import CLOTHES_COLOURS, LOWER_GARMENTS, UPPER_GARMENTS, VEHICLE_COLOURS, VEHICLES
from cityscribe.world.words import PHRASES, SYNONYMS

CONTRADICTED = "?"

_PRONOUNS = {"she": "he", "her": "his", "She": "He", "Her": "His"}


def _words(kind: str, values: tuple[str, ...]) -> str:
    """A pattern for the words that name a value."""
    named = [word for value in values for word in SYNONYMS[kind].get(value, (value,))]
    return "|".join(sorted(named, key=len, reverse=True))


_COLOUR = _words("colour", tuple(CLOTHES_COLOURS))
_PAINT = _words("colour", tuple(VEHICLE_COLOURS))
_UPPER, _LOWER = _words("upper", UPPER_GARMENTS), _words("lower", LOWER_GARMENTS)
_KIND = _words("vehicle_kind", tuple(VEHICLES))
_PATTERNS: dict[str, tuple[str, str]] = {
    "sex": (r"\b(?:is a|A|the|The) (male|female)\b", ""),
    "height_cm": (r"\b(\d+) cm\b", ""),
    "upper": (rf"\b(?:{_COLOUR}) ({_UPPER})\b", "upper"),
    "upper_colour": (rf"\b({_COLOUR}) (?:{_UPPER})\b", "colour"),
    "lower": (rf"\b(?:{_COLOUR}) ({_LOWER})\b", "lower"),
    "lower_colour": (rf"\b({_COLOUR}) (?:{_LOWER})\b", "colour"),
    "hat_colour": (rf"\b({_COLOUR}) cap\b", "colour"),
    "vehicle_colour": (rf"\bvehicle is (?:an? )?({_PAINT})\b", "colour"),
    "vehicle_kind": (rf"\bvehicle is an? (?:{_PAINT}) ({_KIND})\b", "vehicle_kind"),
    "vehicle_speed_kmh": (r"\b(\d+) km/h", ""),
    "lanes": (r"\bwith (\d) lanes?\b", ""),
}
"""Attribute -> the pattern of its value, and the kind of word that it is, for synonyms."""

_VALUE_OF = {
    kind: {word: value for value, words in table.items() for word in words} for kind, table in SYNONYMS.items()
}


def read_caption(caption: str) -> Facts:
    """What a caption states, attribute by attribute; keys are those of `facts_at`."""
    text = re.sub(r"\b(?:[Ss]he|[Hh]er)\b", lambda found: _PRONOUNS[found[0]], caption)
    facts: Facts = {}
    for name, (pattern, kind) in _PATTERNS.items():
        values = _VALUE_OF.get(kind, {})
        _state(facts, name, {values.get(word, word) for word in re.findall(pattern, text)})
    for name, table in _phrases().items():
        _state(facts, name, {value for value, phrases in table.items() if any(phrase in text for phrase in phrases)})
    if "upper" in facts and "hat_colour" not in facts:
        facts["hat_colour"] = "none"  # who is dressed and said to wear no cap wears none
    return facts


def _state(facts: Facts, name: str, values: set[str]) -> None:
    if values:
        facts[name] = values.pop() if len(values) == 1 else CONTRADICTED


@functools.cache
def _phrases() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Attribute -> value -> what says so, with the pronouns of a man."""
    male = {"he": "he", "his": "his", "He": "He", "His": "His"}
    return {
        name: {
            value: tuple(wording.partition("{speed}")[0].format(**male) for table in tables for wording in table[value])
            for value in tables[0]
        }
        for name, tables in PHRASES.items()
    }
