"""What is said: captions in the manner of WTS, from a table of facts.

A caption is a sequence of sentences, one or two a dimension. Each annotator has a hand of his own, numbered from 0: of
every sentence frame and of every wording (`words.py`) he keeps to one, drawn by his number, so that a data set can be
written by one hand or by many.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence

from cityscribe.world.english import article, garment, pronouns
from cityscribe.world.facts import Facts
from cityscribe.world.words import (
    ACTION,
    AGE,
    CARRIED,
    DISTANCE,
    FACING,
    GAZE,
    LIGHT,
    MOTION,
    POSITION,
    ROAD,
    SEEN_FROM_PEDESTRIAN,
    SIDEWALKS,
    SURFACE,
    SYNONYMS,
    TRAFFIC,
    WEATHER,
    WordingsByValue,
)

ATTRIBUTE_FRAMES = (
    "The pedestrian is a {sex} {age} with a height of about {height} cm, wearing {upper} and {lower}{hat}.",
    "The pedestrian, about {height} cm tall, is a {sex} {age}, dressed in {upper} with {lower}{hat}.",
    "A {sex} pedestrian, {age}, approximately {height} cm in height, wears {upper} and {lower}{hat}.",
    "Wearing {upper} over {lower}{hat}, the {sex} pedestrian is {age} and roughly {height} cm tall.",
    "The {sex} pedestrian seems to be {age}; {his} height is around {height} cm, {his} clothes are {upper} and "
    "{lower}{hat}.",
)
POSITION_FRAMES = (
    "{He} is {where}, {near}. {facing}",
    "{facing} {He} is positioned {where}, {near}.",
    "{He} is located {where}, {near}. {facing}",
    "Positioned {where}, {he} is {near}. {facing}",
)
MOTION_FRAMES = ("{gaze} {motion}{on}.", "{motion}{on}. {gaze}")
ON_CROSSWALK = (" on the crosswalk", " on the zebra crossing", " along the pedestrian crossing")
SKY_FRAMES = ("{weather} {light} {surface}", "{light} {surface} {weather}")
LANE_FRAMES = (
    "{road} with {lanes} and {walks}{junction}.",
    "{road}, with {lanes}, with {walks}{junction}.",
    "{road}; it is laid out with {lanes} and has {walks}{junction}.",
)
JUNCTIONS = (", where another road crosses it", ", at a junction", ", near an intersection")
VEHICLE_FRAMES = (
    "The vehicle is {kind}. {where}, {near}.",
    "{where}, {near}. The vehicle is {kind}.",
    "The vehicle is {kind}, as it seems. {where}, {near}.",
    "{where}, {near}; the vehicle is {kind}.",
)


def patterns() -> dict[str, int]:
    """How many sentence patterns each dimension of a caption has: its frames times the wordings that fill them, the
    values that it states held fixed."""

    def ways(table: WordingsByValue) -> int:
        return min(len(wordings) for wordings in table.values())

    return {
        "attributes": len(ATTRIBUTE_FRAMES) * ways(AGE) * ways(CARRIED),
        "position": len(POSITION_FRAMES) * ways(POSITION) * ways(DISTANCE) * ways(FACING),
        "motion": len(MOTION_FRAMES) * ways(GAZE) * ways(MOTION) * len(ON_CROSSWALK),
        "environment": 2
        * len(SKY_FRAMES)
        * ways(WEATHER)
        * ways(LIGHT)
        * ways(SURFACE)
        * ways(ROAD)
        * ways(TRAFFIC)
        * len(LANE_FRAMES),
        "vehicle position": len(VEHICLE_FRAMES) * ways(SEEN_FROM_PEDESTRIAN) * ways(DISTANCE),
        "vehicle motion": ways(ACTION) * len(VEHICLE_FRAMES) * ways(SEEN_FROM_PEDESTRIAN),
    }


@functools.lru_cache(maxsize=4096)
def _habit(hand: int, about: str, ways: int) -> int:
    """Which of several ways an annotator keeps to. Annotators 0 and 1 take the first and the second of all."""
    if hand < 2:
        return hand % ways
    return int.from_bytes(hashlib.sha256(f"{hand}/{about}".encode()).digest()[:4], "big") % ways


def _one(options: Sequence[str], hand: int, about: str) -> str:
    return options[_habit(hand, about, len(options))]


def _word(table: WordingsByValue, value: str, hand: int, about: str) -> str:
    """One hand words every value of a table in its own way."""
    return _one(table[value], hand, f"{about}/{value}")


def _name(kind: str, value: str, hand: int) -> str:
    """A colour, a garment or a kind of vehicle in the words of this hand; the first two hands are American."""
    words = SYNONYMS[kind].get(value, (value,))
    return words[0] if hand < 2 else _one(words, hand, f"{kind}/{value}")


def _garment(kind: str, colour: str, name: str, hand: int) -> str:
    return garment(_name("colour", colour, hand), _name(kind, name, hand))


def _attributes(facts: Facts, hand: int) -> str:
    colour = facts["hat_colour"]
    hat = "" if colour == "none" else f", and {article(_name('colour', colour, hand))} cap on {{his}} head"
    text = _one(ATTRIBUTE_FRAMES, hand, "attributes").format(
        sex=facts["sex"],
        age=_word(AGE, facts["age"], hand, "age"),
        height=facts["height_cm"],
        upper=_garment("upper", facts["upper_colour"], facts["upper"], hand),
        lower=_garment("lower", facts["lower_colour"], facts["lower"], hand),
        hat=hat,
        his="{his}",
    )
    return f"{text} {_word(CARRIED, facts['carried'], hand, 'carried')}"


def _pedestrian_position(facts: Facts, hand: int) -> str:
    return _one(POSITION_FRAMES, hand, "position frame").format(
        where=_word(POSITION, facts["position"], hand, "position"),
        near=_word(DISTANCE, facts["distance"], hand, "distance"),
        facing=_word(FACING, facts["facing"], hand, "facing"),
        he="{he}",
        He="{He}",
    )


def _pedestrian_motion(facts: Facts, hand: int) -> str:
    moves = facts["crosswalk"] == "yes" and facts["motion"] in ("walking", "running")
    return _one(MOTION_FRAMES, hand, "motion frame").format(
        gaze=_word(GAZE, facts["gaze"], hand, "gaze"),
        motion=_word(MOTION, facts["motion"], hand, "motion"),
        on=_one(ON_CROSSWALK, hand, "crosswalk") if moves else "",
    )


def _place(facts: Facts, hand: int) -> str:
    road = _word(ROAD, facts["road"], hand, "road")
    if facts["road"] == "parking lot":
        return road
    return _one(LANE_FRAMES, hand, "lanes").format(
        road=road,
        lanes=f"{facts['lanes']} lane" + ("s" if facts["lanes"] != "1" else ""),
        walks=_word(SIDEWALKS, facts["sidewalks"], hand, "sidewalks"),
        junction=_one(JUNCTIONS, hand, "junction") if facts["junction"] == "yes" else "",
    )


def _environment(facts: Facts, hand: int) -> str:
    sky = _one(SKY_FRAMES[:1] if hand < 2 else SKY_FRAMES, hand, "sky").format(
        weather=_word(WEATHER, facts["weather"], hand, "weather"),
        light=_word(LIGHT, facts["light"], hand, "light"),
        surface=_word(SURFACE, facts["surface"], hand, "surface"),
    )
    place = f"{_place(facts, hand)} {_word(TRAFFIC, facts['traffic'], hand, 'traffic')}"
    return _one((f"{sky} {place}", f"{place} {sky}"), hand, "environment")


def _vehicle_position(facts: Facts, hand: int) -> str:
    named = _name("colour", facts["vehicle_colour"], hand)
    if "vehicle_kind" in facts:
        named = article(f"{named} {_name('vehicle_kind', facts['vehicle_kind'], hand)}")
    return _one(VEHICLE_FRAMES, hand, "vehicle").format(
        kind=named,
        where=_word(SEEN_FROM_PEDESTRIAN, facts["position"], hand, "seen"),
        near=_word(DISTANCE, facts["distance"], hand, "distance"),
    )


def _vehicle_motion(facts: Facts, hand: int) -> str:
    return _word(ACTION, facts["vehicle_action"], hand, "action").replace("{speed}", facts["vehicle_speed_kmh"])


Sentences = Callable[[Facts, int], str]

_PEDESTRIAN: tuple[Sentences, ...] = (_attributes, _pedestrian_position, _pedestrian_motion, _environment)
_VEHICLE: tuple[Sentences, ...] = (_vehicle_position, _vehicle_motion, _environment, _attributes)


def pedestrian_caption(facts: Facts, hand: int = 0) -> str:
    """The caption about the pedestrian: attributes, position, motion and gaze, environment. `hand` is the annotator."""
    return _caption(_PEDESTRIAN, facts, hand)


def vehicle_caption(facts: Facts, hand: int = 0) -> str:
    """The caption about the vehicle: position, motion, environment, and the attributes of the pedestrian."""
    return _caption(_VEHICLE, facts, hand)


def _caption(dimensions: tuple[Sentences, ...], facts: Facts, hand: int) -> str:
    text = " ".join(sentences(facts, hand) for sentences in dimensions)
    return text.format(**pronouns(facts))
