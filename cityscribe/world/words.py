"""What is said: captions in the manner of WTS, from a table of facts.

A caption is a sequence of sentences, one or two a dimension. Every dimension has several wordings; which one an
annotator uses is chosen by the style number, so that a data set can be written by one hand or by many.
"""

from __future__ import annotations

from collections.abc import Callable

from cityscribe.world.facts import Facts

STYLES = 2
"""How many annotators' wordings there are."""

_AGE = {"child": "about 10 years old", "adult": "in {his} 30s", "elderly": "in {his} 70s"}
_POSITION = {
    "front": "directly in front of the vehicle",
    "front left": "diagonally in front of the vehicle on its left",
    "front right": "diagonally in front of the vehicle on its right",
    "left": "on the left side of the vehicle",
    "right": "on the right side of the vehicle",
}
_DISTANCE = {"near": "very near to", "close": "close to", "far": "far from"}
_FACING = {
    "same": "in the same direction as the vehicle",
    "opposite": "in the opposite direction to the vehicle",
    "left": "to the left, perpendicular to the vehicle",
    "right": "to the right, perpendicular to the vehicle",
}
_GAZE = {
    "vehicle": "{He} is watching the vehicle closely and is aware of it.",
    "ahead": "{His} line of sight is in {his} direction of travel and {he} does not notice the vehicle.",
    "phone": "{He} is looking down at a mobile phone and pays no attention to the vehicle.",
}
_MOTION = {"standing": "is standing still", "walking": "is walking slowly", "running": "is running quickly"}
_CARRIED = {
    "nothing": "",
    "backpack": " and carrying a backpack",
    "handbag": " and carrying a handbag",
    "umbrella": " and holding an umbrella",
}
_LIGHT = {"bright": "bright", "dim": "dim", "dark": "dark"}
_WEATHER = {"clear": "clear", "cloudy": "cloudy", "rainy": "rainy", "foggy": "foggy"}
_ACTION = {
    "stopped": "has stopped",
    "going straight": "is going straight ahead at a constant speed",
    "decelerating": "is going straight ahead and decelerating",
    "turning left": "is turning left",
    "turning right": "is turning right",
}


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _garment(colour: str, garment: str) -> str:
    return f"{colour} {garment}" if garment in ("trousers", "shorts") else f"{_article(colour)} {garment}"


def _clothing(facts: Facts) -> str:
    hat = "" if facts["hat_colour"] == "none" else f" and {_article(facts['hat_colour'])} cap"
    upper = _garment(facts["upper_colour"], facts["upper"])
    lower = _garment(facts["lower_colour"], facts["lower"])
    return f"{upper} with {lower}{hat}"


def _pronouns(facts: Facts, sentence: str) -> str:
    he, his = ("he", "his") if facts["sex"] == "male" else ("she", "her")
    return sentence.format(he=he, his=his, He=he.capitalize(), His=his.capitalize())


def _attributes(facts: Facts, style: int) -> str:
    who, height = f"{facts['sex']} {_AGE[facts['age']]}", f"{facts['height_cm']} cm"
    clothing, carried = _clothing(facts), _CARRIED[facts["carried"]]
    return (
        f"The pedestrian is a {who} with a height of about {height}, wearing {clothing}{carried}.",
        f"The pedestrian is a {who}, about {height} tall, dressed in {clothing}{carried}.",
    )[style]


def _pedestrian_position(facts: Facts, style: int) -> str:
    where, near = _POSITION[facts["position"]], _DISTANCE[facts["distance"]]
    facing = _FACING[facts["facing"]]
    return (
        f"The pedestrian is {where} and {near} it. {{His}} body faces {facing}.",
        f"{{He}} is positioned {where}, {near} it, and {{his}} body is oriented {facing}.",
    )[style]


def _pedestrian_motion(facts: Facts, style: int) -> str:
    where = "on the crosswalk" if facts["crosswalk"] == "yes" and facts["motion"] != "standing" else "on the road"
    motion = _MOTION[facts["motion"]]
    return (
        f"{_GAZE[facts['gaze']]} The pedestrian {motion} {where}.",
        f"{{He}} {motion} {where}. {_GAZE[facts['gaze']]}",
    )[style]


def _place(facts: Facts) -> str:
    if facts["road"] == "parking lot":
        return "a parking lot"
    lanes = f"{facts['lanes']} lane" + ("s" if facts["lanes"] != "1" else "")
    walks = "with sidewalks on both sides" if facts["sidewalks"] == "yes" else "without sidewalks"
    junction = " near a junction" if facts["junction"] == "yes" else ""
    return f"{_article(facts['road'])} with {lanes}, {walks}{junction}"


def _environment(facts: Facts, style: int) -> str:
    weather, light, place = _WEATHER[facts["weather"]], _LIGHT[facts["light"]], _place(facts)
    return (
        f"The weather is {weather} and the brightness is {light}. The road surface is {facts['surface']}. "
        f"The scene is {place}, and the traffic volume is {facts['traffic']}.",
        f"It is {weather} and {light}, and the road surface is {facts['surface']}. "
        f"The event takes place on {place}, where the traffic volume is {facts['traffic']}.",
    )[style]


def _vehicle_position(facts: Facts, style: int) -> str:
    where = {
        "front": "directly in front of the pedestrian",
        "front left": "behind the pedestrian, who is diagonally in front of it on its left",
        "front right": "behind the pedestrian, who is diagonally in front of it on its right",
        "left": "beside the pedestrian, who is on its left",
        "right": "beside the pedestrian, who is on its right",
    }[facts["position"]]
    if facts["position"] == "front":
        where = "facing the pedestrian, who is directly in front of it"
    near = _DISTANCE[facts["distance"]]
    vehicle = f"{_article(facts['vehicle_colour'])} {facts['vehicle_kind']}"
    return (
        f"The vehicle is {vehicle}. It is {where} and {near} {{his}} position.",
        f"The vehicle, {vehicle}, is {where}, {near} {{his}} position.",
    )[style]


def _vehicle_motion(facts: Facts, style: int) -> str:
    action, speed = _ACTION[facts["vehicle_action"]], facts["vehicle_speed_kmh"]
    if facts["vehicle_action"] == "stopped":
        return f"The vehicle {action}."
    return (f"The vehicle {action} at about {speed} km/h.", f"It {action} with a speed of about {speed} km/h.")[style]


Sentence = Callable[[Facts, int], str]

_PEDESTRIAN: tuple[Sentence, ...] = (_attributes, _pedestrian_position, _pedestrian_motion, _environment)
_VEHICLE: tuple[Sentence, ...] = (_vehicle_position, _vehicle_motion, _environment, _attributes)


def pedestrian_caption(facts: Facts, style: int = 0) -> str:
    return _pronouns(facts, " ".join(sentence(facts, style) for sentence in _PEDESTRIAN))


def vehicle_caption(facts: Facts, style: int = 0) -> str:
    return _pronouns(facts, " ".join(sentence(facts, style) for sentence in _VEHICLE))
