"""What is said: captions in the manner of WTS, from a table of facts.

A caption is a sequence of sentences, one or two a dimension. Each annotator has a hand of his own, numbered from 0: of
every sentence frame and of every wording he keeps to one, drawn by his number, so that a data set can be written by one
hand or by many. British and American words, exact and hedged ones stand side by side, as in real annotation. No wording
of one value is part of a wording of another: `read.py` reads every caption back.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence

from cityscribe.world.english import article, garment, pronouns
from cityscribe.world.facts import Facts

Wordings = Mapping[str, tuple[str, ...]]

AGE: Wordings = {
    "child": ("about 10 years old", "around ten years of age", "of primary school age", "still a child"),
    "adult": ("in {his} 30s", "in {his} thirties", "of middle age", "an adult"),
    "elderly": ("in {his} 70s", "in {his} seventies", "of old age", "a senior"),
}
CARRIED: Wordings = {
    "nothing": ("{He} carries nothing.", "{His} hands are empty.", "{He} does not carry anything."),
    "backpack": (
        "There is a backpack on {his} back.",
        "{He} wears a backpack.",
        "A rucksack hangs from {his} shoulders.",
    ),
    "handbag": ("A handbag hangs from {his} left hand.", "{He} holds a handbag.", "{He} has a purse in one hand."),
    "umbrella": (
        "{He} holds up an open umbrella.",
        "{He} walks under an umbrella.",
        "An umbrella is open above {his} head.",
    ),
}
POSITION: Wordings = {
    "front": (
        "directly in front of the vehicle, in the middle of its path",
        "straight ahead of the vehicle",
        "right before the vehicle",
        "in the vehicle's own lane, ahead of it",
    ),
    "front left": (
        "diagonally in front of the vehicle on its left",
        "ahead of the vehicle and to its left",
        "at the front left of the vehicle",
        "off the vehicle's left front corner",
    ),
    "front right": (
        "diagonally in front of the vehicle on its right",
        "ahead of the vehicle and to its right",
        "at the front right of the vehicle",
        "off the vehicle's right front corner",
    ),
    "left": (
        "beside the vehicle on its left side",
        "level with the vehicle, to the left",
        "next to the vehicle's left door",
        "alongside the vehicle on the left-hand side",
    ),
    "right": (
        "beside the vehicle on its right side",
        "level with the vehicle, to the right",
        "next to the vehicle's right door",
        "alongside the vehicle on the right-hand side",
    ),
}
DISTANCE: Wordings = {
    "near": ("only a few steps from it", "very near", "within arm's reach or little more", "almost touching distance"),
    "close": ("close to it", "at a short distance", "some metres from it", "some meters off"),
    "far": ("far away from it", "at a long distance", "well away from it", "a good way off"),
}
FACING: Wordings = {
    "same": (
        "{His} back is turned to the vehicle and {he} faces the same direction.",
        "{He} is oriented in the vehicle's own direction of travel.",
        "{His} body points the same way as the vehicle.",
    ),
    "opposite": (
        "{His} body faces the vehicle, opposite to its direction of travel.",
        "{He} is oriented against the vehicle's direction of travel.",
        "{His} body points towards the oncoming vehicle.",
    ),
    "left": (
        "{His} body is turned to the left, perpendicular to the vehicle.",
        "{He} is oriented to the vehicle's left, at a right angle.",
        "{His} body points across the vehicle's path, from right to left.",
    ),
    "right": (
        "{His} body is turned to the right, perpendicular to the vehicle.",
        "{He} is oriented to the vehicle's right, at a right angle.",
        "{His} body points across the vehicle's path, from left to right.",
    ),
}
GAZE: Wordings = {
    "vehicle": (
        "{He} watches the vehicle closely and is aware of it.",
        "{His} eyes are on the vehicle.",
        "{He} appears to have noticed the vehicle and looks at it.",
    ),
    "ahead": (
        "{His} line of sight follows {his} own way and {he} does not notice the vehicle.",
        "{He} looks where {he} is going, apparently unaware of the vehicle.",
        "{He} gazes ahead and seems not to see the vehicle.",
    ),
    "phone": (
        "{He} looks down at a mobile phone and pays no attention to the traffic.",
        "{He} is absorbed in a cell phone.",
        "{He} stares at a smartphone, probably unaware of the traffic.",
    ),
}
MOTION: Wordings = {
    "standing": (
        "The pedestrian stands still and waits",
        "The pedestrian is stationary",
        "The pedestrian does not move",
        "The pedestrian has come to a stop",
    ),
    "walking": (
        "The pedestrian is walking slowly",
        "The pedestrian walks at an ordinary pace",
        "The pedestrian proceeds on foot at a low speed",
        "The pedestrian takes unhurried steps",
    ),
    "running": (
        "The pedestrian is running quickly with long strides",
        "The pedestrian runs at high speed",
        "The pedestrian dashes along",
        "The pedestrian hurries at a run",
    ),
    "fallen": (
        "The pedestrian has been hit and lies on the ground",
        "The pedestrian has fallen over",
        "The pedestrian lies motionless after the impact",
        "The pedestrian was knocked down",
    ),
}
WEATHER: Wordings = {
    "clear": (
        "The weather is clear, without a cloud in the sky.",
        "The sky is clear.",
        "It is a fine, cloudless time.",
        "Not a cloud is to be seen.",
    ),
    "cloudy": (
        "The weather is cloudy and gray clouds cover the sun.",
        "The sky is overcast.",
        "It is grey and clouded over.",
        "Clouds hang in the sky.",
    ),
    "rainy": (
        "The weather is rainy, drops fall and puddles form.",
        "It rains steadily.",
        "Rain falls on the scene.",
        "There is a shower of rain.",
    ),
    "foggy": (
        "The weather is foggy and what is far away is hidden.",
        "There is fog.",
        "A mist lies over the scene.",
        "Visibility is poor in the mist.",
    ),
}
LIGHT: Wordings = {
    "bright": ("It is bright daytime", "It is broad daylight", "The brightness is that of day", "It is light"),
    "dim": (
        "The light is dim, as at dusk",
        "The light is fading",
        "It is twilight",
        "The brightness is low, as in the evening",
    ),
    "dark": (
        "It is dark night, lit by lamps and headlights",
        "It is night",
        "The scene is dark, apart from lamps",
        "There is no daylight left",
    ),
}
SURFACE: Wordings = {
    "dry": ("and the asphalt is dry.", "and the road surface is dry.", "and the ground has no water on it."),
    "wet": (
        "and the wet road surface is slippery.",
        "and the road surface is wet.",
        "and water stands on the tarmac.",
    ),
}
ROAD: Wordings = {
    "urban road": (
        "The scene is an urban road between tall buildings",
        "This is a city street",
        "The place is a main road in town",
        "It happens on an urban road",
    ),
    "residential road": (
        "The scene is a quiet residential road among low houses",
        "This is a residential street",
        "The place is a side road of a housing area",
        "It happens on a residential road",
    ),
    "parking lot": (
        "The scene is a wide parking lot with marked bays on both sides.",
        "This is a car park.",
        "The place is a parking area with marked bays.",
        "It happens in a parking lot.",
    ),
}
SIDEWALKS: Wordings = {
    "yes": ("sidewalks on both sides", "pavements left and right", "a sidewalk on either side"),
    "no": ("no sidewalk", "no pavement", "no footpath beside it"),
}
TRAFFIC: Wordings = {
    "light": (
        "The traffic volume is light and hardly another vehicle is around.",
        "There is little traffic.",
        "Traffic is light.",
        "Hardly any other vehicle can be seen.",
    ),
    "usual": (
        "The traffic volume is usual, with some other vehicles.",
        "There is a moderate amount of traffic.",
        "Traffic is as usual.",
        "A few other vehicles are about.",
    ),
    "heavy": (
        "The traffic volume is heavy and many vehicles fill the lanes.",
        "There is a lot of traffic.",
        "Traffic is heavy.",
        "Many other vehicles can be seen.",
    ),
}
ACTION: Wordings = {
    "stopped": (
        "The vehicle has stopped and does not move.",
        "The vehicle stands still.",
        "The vehicle is not moving at all.",
        "The vehicle has come to a standstill.",
    ),
    "going straight": (
        "The vehicle is going straight ahead at a constant speed of about {speed} km/h.",
        "The vehicle drives on steadily at roughly {speed} km/h.",
        "The vehicle keeps straight on, at some {speed} km/h.",
        "The vehicle travels straight ahead at an even {speed} km/h.",
    ),
    "decelerating": (
        "The vehicle brakes and is decelerating to about {speed} km/h.",
        "The vehicle slows down to roughly {speed} km/h.",
        "The vehicle reduces its speed, to some {speed} km/h.",
        "The vehicle is decelerating under braking, down to {speed} km/h.",
    ),
    "turning left": (
        "The vehicle steers to the left and is turning at about {speed} km/h.",
        "The vehicle makes a left turn at roughly {speed} km/h.",
        "The vehicle turns left, at some {speed} km/h.",
        "The vehicle is turning to the left at {speed} km/h.",
    ),
    "turning right": (
        "The vehicle steers to the right and is turning at about {speed} km/h.",
        "The vehicle makes a right turn at roughly {speed} km/h.",
        "The vehicle turns right, at some {speed} km/h.",
        "The vehicle is turning to the right at {speed} km/h.",
    ),
}
SEEN_FROM_PEDESTRIAN: Wordings = {
    "front": (
        "It approaches the pedestrian, who is directly in front of it in the middle of its path",
        "The pedestrian is in its path",
        "Its bonnet points at the pedestrian",
    ),
    "front left": (
        "The pedestrian is diagonally in front of it on its left",
        "The pedestrian is ahead, to its left",
        "Its left headlight is on the pedestrian's side",
    ),
    "front right": (
        "The pedestrian is diagonally in front of it on its right",
        "The pedestrian is ahead, to its right",
        "Its right headlight is on the pedestrian's side",
    ),
    "left": (
        "It is level with the pedestrian, who is on its left side",
        "The pedestrian is at its left flank",
        "It passes the pedestrian, who stays on the left",
    ),
    "right": (
        "It is level with the pedestrian, who is on its right side",
        "The pedestrian is at its right flank",
        "It passes the pedestrian, who stays on the right",
    ),
}

PHRASES: dict[str, tuple[Wordings, ...]] = {
    "age": (AGE,),
    "carried": (CARRIED,),
    "position": (POSITION, SEEN_FROM_PEDESTRIAN),
    "distance": (DISTANCE,),
    "facing": (FACING,),
    "gaze": (GAZE,),
    "motion": (MOTION,),
    "weather": (WEATHER,),
    "light": (LIGHT,),
    "surface": (SURFACE,),
    "road": (ROAD,),
    "traffic": (TRAFFIC,),
    "vehicle_action": (ACTION,),
    "sidewalks": (SIDEWALKS,),
}
"""Attribute -> the tables that word it, for reading captions. Attributes that are stated by a value are not here."""

SYNONYMS: dict[str, dict[str, tuple[str, ...]]] = {
    "colour": {"gray": ("gray", "grey")},
    "upper": {"T-shirt": ("T-shirt", "short-sleeved shirt")},
    "lower": {"trousers": ("trousers", "pants")},
    "vehicle_kind": {"truck": ("truck", "lorry"), "sedan": ("sedan", "saloon car"), "bus": ("bus", "coach")},
}
"""Of words that name a value outside a phrase: the value -> the words for it, American first where they differ."""

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

    def ways(table: Wordings) -> int:
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


def _word(table: Wordings, value: str, hand: int, about: str) -> str:
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
