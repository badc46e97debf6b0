"""Reading a caption back: which facts it states, in the wording of `words.py`.

    read_caption(pedestrian_caption(facts)) states what is in `facts`

Nothing is guessed. An attribute that a caption does not state in that wording is absent, and one that it states in two
ways has the value `CONTRADICTED`, so that a text that says everything is right about nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from cityscribe.world.facts import Facts
from cityscribe.world.look import CLOTHES_COLOURS, LOWER_GARMENTS, UPPER_GARMENTS, VEHICLE_COLOURS, VEHICLES
from cityscribe.world.words import PHRASES

CONTRADICTED = "?"

_COLOUR = "|".join(CLOTHES_COLOURS)
_PATTERNS: dict[str, str] = {
    "sex": r"\bis a (male|female)\b",
    "height_cm": r"\babout (\d+) cm\b",
    "upper": rf"\b(?:{_COLOUR}) ({'|'.join(UPPER_GARMENTS)})\b",
    "upper_colour": rf"\b({_COLOUR}) (?:{'|'.join(UPPER_GARMENTS)})\b",
    "lower": rf"\b(?:{_COLOUR}) ({'|'.join(LOWER_GARMENTS)})\b",
    "lower_colour": rf"\b({_COLOUR}) (?:{'|'.join(LOWER_GARMENTS)})\b",
    "hat_colour": rf"\b({_COLOUR}) cap\b",
    "vehicle_colour": rf"\bvehicle is an? ({'|'.join(VEHICLE_COLOURS)}) ",
    "vehicle_kind": rf"\bvehicle is an? (?:{'|'.join(VEHICLE_COLOURS)}) ({'|'.join(VEHICLES)})\b",
    "vehicle_speed_kmh": r"\b(\d+) km/h",
    "lanes": r"\bwith (\d) lanes?\b",
}
_PRONOUNS = {"she": "he", "her": "his", "She": "He", "Her": "His"}


def read_caption(caption: str) -> Facts:
    """What a caption states, attribute by attribute; keys are those of `facts_at`."""
    text = re.sub(r"\b(?:[Ss]he|[Hh]er)\b", lambda found: _PRONOUNS[found[0]], caption)
    facts: Facts = {}
    for name, pattern in _PATTERNS.items():
        _state(facts, name, set(re.findall(pattern, text)))
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
            value: tuple(wording.partition("{speed}")[0].format(**male) for wording in wordings)
            for value, wordings in table.items()
        }
        for name, table in PHRASES.items()
    }
