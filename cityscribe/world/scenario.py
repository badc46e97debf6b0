"""A scenario written by hand: a YAML file that says what matters, and a seed for the rest.

    seed: 7
    kind: stepping out
    person: {age: child, upper_colour: red, lower_colour: blue}
    street: {weather: rainy, light: dark, bend: 0.02}
    speeds: [8.3, 8.3, 7.0, 4.0, 0.0, 0.0]      # metres a second, at the starts of the phases and the end of the last

Every name is one of the fields of `Event`, `Person`, `Vehicle` and `Street`; words are those of `look`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from cityscribe.files import InputError
from cityscribe.plain_yaml import read_yaml
from cityscribe.world.encounter import KINDS, PHASE_COUNT
from cityscribe.world.event import Event, sample_event
from cityscribe.world.look import (
    AGES,
    CARRIED,
    CLOTHES_COLOURS,
    GAZES,
    HAIR,
    LIGHTS,
    LOWER_GARMENTS,
    MOTIONS,
    ROADS,
    SKIN,
    UPPER_GARMENTS,
    VEHICLE_COLOURS,
    VEHICLES,
    WEATHERS,
)
from cityscribe.world.scene import Person, Street, Vehicle

_WORDS: dict[str, tuple[Any, ...]] = {
    "person.sex": ("male", "female"),
    "person.age": tuple(AGES),
    "person.skin": tuple(range(len(SKIN))),
    "person.hair": tuple(HAIR),
    "person.upper": UPPER_GARMENTS,
    "person.upper_colour": tuple(CLOTHES_COLOURS),
    "person.lower": LOWER_GARMENTS,
    "person.lower_colour": tuple(CLOTHES_COLOURS),
    "person.hat_colour": (None, *CLOTHES_COLOURS),
    "person.carried": CARRIED,
    "vehicle.kind": tuple(VEHICLES),
    "vehicle.colour": tuple(VEHICLE_COLOURS),
    "street.road": ROADS,
    "street.weather": WEATHERS,
    "street.light": LIGHTS,
    "street.lanes": (1, 2, 3, 4),
    "motions": (*MOTIONS, "fallen"),
    "gazes": GAZES,
}
_PARTS: dict[str, type[Person] | type[Vehicle] | type[Street]] = {
    "person": Person,
    "vehicle": Vehicle,
    "street": Street,
}
_PHASED = {"motions": PHASE_COUNT, "gazes": PHASE_COUNT, "speeds": PHASE_COUNT + 1, "boundaries_s": PHASE_COUNT + 1}
_PLAIN = ("lane", "heading", "meet")


def read_scenario(path: Path) -> Event:
    """The event that a file describes. Raises InputError naming the file and the place."""
    value = read_yaml(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected fields such as `kind:` and `person:`")
    given = dict(value)
    seed, kind = given.pop("seed", 0), given.pop("kind", "")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"{path}: seed: expected a number from 0, found {seed!r}")
    if kind and kind not in KINDS:
        raise InputError(f"{path}: kind: expected one of {', '.join(KINDS)}, found {kind!r}")
    event = sample_event(seed, only=kind)
    known = (*_PARTS, *_PHASED, *_PLAIN)
    for name, content in given.items():
        if name not in known:
            raise InputError(f"{path}: {name}: no such field; known are seed, kind, {', '.join(known)}")
        if name in _PARTS:
            content = _part(path, name, content, getattr(event, name))
        elif name in _PHASED and (not isinstance(content, list) or len(content) != _PHASED[name]):
            raise InputError(f"{path}: {name}: expected a list of {_PHASED[name]}")
        else:
            content = _typed(path, name, get_type_hints(Event)[name], content)
        event = replace(event, **{name: content})
    for name in ("motions", "gazes"):
        for word in getattr(event, name):
            _word(path, name, word)
    starts = event.boundaries_s
    if any(after - before < 0.05 for before, after in pairwise(starts)):
        raise InputError(f"{path}: boundaries_s: expected times that grow by at least 0.05 s")
    if any(not 0 <= speed <= 60 for speed in event.speeds):
        raise InputError(f"{path}: speeds: expected 0 to 60 metres a second")
    if not 0 <= event.lane < max(1, event.street.lanes):
        raise InputError(f"{path}: lane: the street has {event.street.lanes} lanes")
    return event


def _part(path: Path, name: str, content: Any, before: Any) -> Any:
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: {name}: expected fields, found {content!r}")
    fields = type(before).__dataclass_fields__
    for field, value in content.items():
        if field not in fields:
            raise InputError(f"{path}: {name}.{field}: no such field; known are {', '.join(fields)}")
        _word(path, f"{name}.{field}", value)
    if name == "street" and not -1 / 30 <= _typed(path, "street.bend", float, content.get("bend", 0.0)) <= 1 / 30:
        raise InputError(f"{path}: street.bend: at most 1/30 per metre, found {content['bend']}")
    whole = {**asdict(before), **content}
    if name == "person" and "height" not in content:  # a height that the age allows
        least, most = AGES[whole["age"]]
        whole["height"] = min(max(whole["height"], least), most)
    return _typed(path, name, type(before), whole)


def _word(path: Path, place: str, value: Any) -> None:
    words = _WORDS.get(place)
    if words is not None and value not in words:
        raise InputError(f"{path}: {place}: expected one of {', '.join(map(str, words))}, found {value!r}")


def _typed(path: Path, place: str, kind: Any, value: Any) -> Any:
    """The value, if it is of this type."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([place, *map(str, first["loc"])])
        raise InputError(f"{path}: {where}: {first['msg']}; found {first['input']!r}") from error
