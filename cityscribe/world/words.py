"""What is said: captions in the manner of WTS, from a table of facts.

A caption is a sequence of sentences, one or two a dimension, and most of a sentence depends on what is true: rain is
told in other words than fog. Each dimension can be worded by several annotators; which one is the style number, so that
a data set can be written by one hand or by many.
"""

from __future__ import annotations

from collections.abc import Callable

from cityscribe.world.facts import Facts

STYLES = 2
"""How many annotators' wordings there are."""

_AGE = {"child": "about 10 years old", "adult": "in {his} 30s", "elderly": "in {his} 70s"}
_CARRIED = {
    "nothing": "{He} carries nothing.",
    "backpack": "There is a backpack on {his} back.",
    "handbag": "A handbag hangs from {his} left hand.",
    "umbrella": "{He} holds up an open umbrella.",
}
_POSITION = {
    "front": "directly in front of the vehicle, in the middle of its path",
    "front left": "diagonally in front of the vehicle on its left",
    "front right": "diagonally in front of the vehicle on its right",
    "left": "beside the vehicle on its left side",
    "right": "beside the vehicle on its right side",
}
_DISTANCE = {"near": "only a few steps from it", "close": "close to it", "far": "far away from it"}
_FACING = {
    "same": "{His} back is turned to the vehicle and {he} faces the same direction.",
    "opposite": "{His} body faces the vehicle, opposite to its direction of travel.",
    "left": "{His} body is turned to the left, perpendicular to the vehicle.",
    "right": "{His} body is turned to the right, perpendicular to the vehicle.",
}
_GAZE = {
    "vehicle": "{He} watches the vehicle closely and is aware of it.",
    "ahead": "{His} line of sight follows {his} own way and {he} does not notice the vehicle.",
    "phone": "{He} looks down at a mobile phone and pays no attention to the traffic.",
}
_MOTION = {
    "standing": "The pedestrian stands still and waits",
    "walking": "The pedestrian is walking slowly",
    "running": "The pedestrian is running quickly with long strides",
    "fallen": "The pedestrian has been hit and lies on the ground",
}
_WEATHER = {
    "clear": "The weather is clear, without a cloud in the sky.",
    "cloudy": "The weather is cloudy and gray clouds cover the sun.",
    "rainy": "The weather is rainy, drops fall and puddles form.",
    "foggy": "The weather is foggy and what is far away is hidden.",
}
_LIGHT = {
    "bright": "It is bright daytime",
    "dim": "The light is dim, as at dusk",
    "dark": "It is dark night, lit by lamps and headlights",
}
_SURFACE = {"dry": "and the asphalt is dry.", "wet": "and the wet road surface is slippery."}
_ROAD = {
    "urban road": "The scene is an urban road between tall buildings",
    "residential road": "The scene is a quiet residential road among low houses",
    "parking lot": "The scene is a wide parking lot with marked bays on both sides.",
}
_SIDEWALKS = {"yes": "sidewalks on both sides", "no": "no sidewalk"}
_TRAFFIC = {
    "light": "The traffic volume is light and hardly another vehicle is around.",
    "usual": "The traffic volume is usual, with some other vehicles.",
    "heavy": "The traffic volume is heavy and many vehicles fill the lanes.",
}
_ACTION = {
    "stopped": "The vehicle has stopped and does not move.",
    "going straight": "The vehicle is going straight ahead at a constant speed of about {speed} km/h.",
    "decelerating": "The vehicle brakes and is decelerating to about {speed} km/h.",
    "turning left": "The vehicle steers to the left and is turning at about {speed} km/h.",
    "turning right": "The vehicle steers to the right and is turning at about {speed} km/h.",
}
_SEEN_FROM_PEDESTRIAN = {
    "front": "It approaches the pedestrian, who is directly in front of it in the middle of its path",
    "front left": "The pedestrian is diagonally in front of it on its left",
    "front right": "The pedestrian is diagonally in front of it on its right",
    "left": "It is level with the pedestrian, who is on its left side",
    "right": "It is level with the pedestrian, who is on its right side",
}

PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    name: {value: tuple(table[value] for table in tables) for value in tables[0]}
    for name, tables in {
        "age": (_AGE,),
        "carried": (_CARRIED,),
        "position": (_POSITION, _SEEN_FROM_PEDESTRIAN),
        "distance": (_DISTANCE,),
        "facing": (_FACING,),
        "gaze": (_GAZE,),
        "motion": (_MOTION,),
        "weather": (_WEATHER,),
        "light": (_LIGHT,),
        "surface": (_SURFACE,),
        "road": (_ROAD,),
        "traffic": (_TRAFFIC,),
        "vehicle_action": (_ACTION,),
        "sidewalks": (_SIDEWALKS,),
    }.items()
}
"""Attribute -> value -> the wordings that state it, for reading captions. Those that hold a value are not here."""


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _garment(colour: str, garment: str) -> str:
    return f"{colour} {garment}" if garment in ("trousers", "shorts") else f"{_article(colour)} {garment}"


def _attributes(facts: Facts, style: int) -> str:
    who, height = f"{facts['sex']} {_AGE[facts['age']]}", f"{facts['height_cm']} cm"
    upper = _garment(facts["upper_colour"], facts["upper"])
    lower = _garment(facts["lower_colour"], facts["lower"])
    hat = "" if facts["hat_colour"] == "none" else f", and {_article(facts['hat_colour'])} cap on {{his}} head"
    first = (
        f"The pedestrian is a {who} with a height of about {height}, wearing {upper} and {lower}{hat}.",
        f"The pedestrian, about {height} tall, is a {who}, dressed in {upper} with {lower}{hat}.",
    )[style]
    return f"{first} {_CARRIED[facts['carried']]}"


def _pedestrian_position(facts: Facts, style: int) -> str:
    where, near = _POSITION[facts["position"]], _DISTANCE[facts["distance"]]
    is_at = ("{He} is", "{He} is positioned")[style]
    return f"{is_at} {where}, {near}. {_FACING[facts['facing']]}"


def _pedestrian_motion(facts: Facts, style: int) -> str:
    where = " on the crosswalk" if facts["crosswalk"] == "yes" and facts["motion"] not in ("standing", "fallen") else ""
    motion = f"{_MOTION[facts['motion']]}{where}."
    return (f"{_GAZE[facts['gaze']]} {motion}", f"{motion} {_GAZE[facts['gaze']]}")[style]


def _place(facts: Facts) -> str:
    if facts["road"] == "parking lot":
        return _ROAD["parking lot"]
    lanes = f"{facts['lanes']} lane" + ("s" if facts["lanes"] != "1" else "")
    walks = _SIDEWALKS[facts["sidewalks"]]
    junction = ", where another road crosses it" if facts["junction"] == "yes" else ""
    return f"{_ROAD[facts['road']]} with {lanes} and {walks}{junction}."


def _environment(facts: Facts, style: int) -> str:
    sky = f"{_WEATHER[facts['weather']]} {_LIGHT[facts['light']]} {_SURFACE[facts['surface']]}"
    place = f"{_place(facts)} {_TRAFFIC[facts['traffic']]}"
    return (f"{sky} {place}", f"{place} {sky}")[style]


def _vehicle_position(facts: Facts, style: int) -> str:
    where, near = _SEEN_FROM_PEDESTRIAN[facts["position"]], _DISTANCE[facts["distance"]]
    kind = f"{_article(facts['vehicle_colour'])} {facts['vehicle_kind']}"
    return (f"The vehicle is {kind}. {where}, {near}.", f"{where}, {near}. The vehicle is {kind}.")[style]


def _vehicle_motion(facts: Facts, style: int) -> str:
    return _ACTION[facts["vehicle_action"]].replace("{speed}", facts["vehicle_speed_kmh"])


Sentences = Callable[[Facts, int], str]

_PEDESTRIAN: tuple[Sentences, ...] = (_attributes, _pedestrian_position, _pedestrian_motion, _environment)
_VEHICLE: tuple[Sentences, ...] = (_vehicle_position, _vehicle_motion, _environment, _attributes)


def pedestrian_caption(facts: Facts, style: int = 0) -> str:
    """The caption about the pedestrian: attributes, position, motion and gaze, environment."""
    return _caption(_PEDESTRIAN, facts, style)


def vehicle_caption(facts: Facts, style: int = 0) -> str:
    """The caption about the vehicle: position, motion, environment, and the attributes of the pedestrian."""
    return _caption(_VEHICLE, facts, style)


def _caption(dimensions: tuple[Sentences, ...], facts: Facts, style: int) -> str:
    he, his = ("he", "his") if facts["sex"] == "male" else ("she", "her")
    text = " ".join(sentences(facts, style) for sentences in dimensions)
    return text.format(he=he, his=his, He=he.capitalize(), His=his.capitalize())
