"""What can be asked about a picture of the city, with answers from its facts: driving tasks and question sets.

Driving tasks are those of driver assistance: the state of the traffic light, cones, the speed to recommend, an alert
before a junction. Question sets ask about attributes in three ways: short answer, multiple choice with distractors that
are true of somebody else in the picture where there is one, and pairs of yes and no, of which a model that says what is
usual gets one wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cityscribe.letters import LETTERS
from cityscribe.world.facts import Facts
from cityscribe.world.look import (
    AGES,
    CARRIED,
    CLOTHES_COLOURS,
    GAZES,
    LIGHT_STATES,
    LIGHTS,
    LOWER_GARMENTS,
    MOTIONS,
    ROADS,
    UPPER_GARMENTS,
    VEHICLE_COLOURS,
    VEHICLES,
    WEATHERS,
)

OPTIONS = 4
"""Of a choice, where an attribute has as many values."""

BASE_SPEED = {"urban road": 50, "residential road": 30, "parking lot": 10}
"""km/h where no sign says otherwise."""


@dataclass(frozen=True, slots=True)
class Task:
    """A question about one picture. `options` are those of a choice, whose answer is a letter."""

    name: str
    kind: str  # "short", "choice" or "yes/no"
    question: str
    answer: str
    options: tuple[str, ...] = ()


def recommended_speed(facts: Facts) -> int:
    """km/h: the sign's, or the usual of the road; a third less on wet ground, in fog or at night, and a walking pace
    where somebody is near in front. Rounded down to 5."""
    speed = float(facts["speed_limit"]) if facts["speed_limit"] != "none" else BASE_SPEED[facts["road"]]
    if facts["surface"] == "wet" or facts["weather"] == "foggy" or facts["light"] == "dark":
        speed *= 2 / 3
    if facts["distance"] == "near" and facts["position"].startswith("front"):
        speed = min(speed, 10)
    return max(5, int(speed // 5) * 5)


def driving_tasks(facts: Facts) -> list[Task]:
    """The four driving tasks. `facts` are those of `facts_at` and `regulation` for the camera of the vehicle."""
    light = facts["traffic_light"]
    ahead = [
        name
        for name, there in (("a junction", facts["junction"]), ("a crossing", facts["crosswalk"]))
        if there == "yes"
    ]
    alert = f"Attention: {' and '.join(ahead)} ahead." if ahead else "Nothing of the kind ahead."
    if ahead and facts["position"].startswith("front") and facts["distance"] != "far":
        alert = alert[:-1] + ", and somebody is in the way."
    return [
        Task(
            "traffic light",
            "short",
            "Which state does the traffic light ahead show? Say none if there is no light.",
            light,
        ),
        Task("cones", "yes/no", "Do cones narrow the road ahead?", facts["cones"]),
        Task(
            "speed",
            "short",
            "What speed in km/h do you recommend here, with regard to signs, road, weather and people?",
            f"{recommended_speed(facts)}",
        ),
        Task("junction", "short", "Warn the driver of junctions and crossings.", alert),
    ]


_ASKED: dict[str, tuple[str, str, Sequence[str]]] = {
    "upper_colour": ("What is the colour of the pedestrian's upper garment?", "{} on top", list(CLOTHES_COLOURS)),
    "lower_colour": ("What is the colour of the pedestrian's lower garment?", "{} below", list(CLOTHES_COLOURS)),
    "upper": ("Which upper garment does the pedestrian wear?", "a {}", UPPER_GARMENTS),
    "lower": ("Which lower garment does the pedestrian wear?", "{}", LOWER_GARMENTS),
    "age": ("To which age group does the pedestrian belong?", "{}", tuple(AGES)),
    "carried": ("What does the pedestrian carry?", "{}", CARRIED),
    "motion": ("How does the pedestrian move?", "{}", MOTIONS),
    "gaze": ("What does the pedestrian pay attention to?", "{}", GAZES),
    "position": (
        "Where is the pedestrian, seen from the vehicle?",
        "{}",
        ("front", "front left", "front right", "left", "right"),
    ),
    "distance": ("How far is the pedestrian from the vehicle?", "{}", ("near", "close", "far")),
    "facing": (
        "How is the pedestrian oriented to the vehicle's direction?",
        "{}",
        ("same", "opposite", "left", "right"),
    ),
    "vehicle_colour": ("What is the colour of the vehicle?", "{}", list(VEHICLE_COLOURS)),
    "vehicle_kind": ("What kind of vehicle is it?", "a {}", list(VEHICLES)),
    "weather": ("What is the weather?", "{}", WEATHERS),
    "light": ("How bright is it?", "{}", LIGHTS),
    "road": ("What kind of road is it?", "{}", ROADS),
    "traffic": ("How much traffic is there?", "{}", ("light", "usual", "heavy")),
    "traffic_light": ("What does the traffic light show?", "{}", (*LIGHT_STATES, "none")),
}
"""Attribute -> its question, how an option reads, and the values that it can have."""

_CLAIMS = {
    "upper_colour": "Is the pedestrian's upper garment {}?",
    "lower_colour": "Is the pedestrian's lower garment {}?",
    "age": "Is the pedestrian of the age group {}?",
    "motion": "Is the pedestrian {}?",
    "carried": "Does the pedestrian carry this: {}?",
    "weather": "Is the weather {}?",
    "road": "Is this scene on a {}?",
    "vehicle_colour": "Is the vehicle {}?",
}


def question_set(facts: Facts, others: dict[str, list[str]], rng: np.random.Generator) -> list[Task]:
    """Short, multiple-choice and yes/no questions about a picture.

    `others` are values of attributes that are true of others in the picture: the hard distractors. An attribute that
    the facts do not hold is not asked about.
    """
    tasks: list[Task] = []
    for name, (question, form, values) in _ASKED.items():
        truth = facts.get(name)
        if truth is None or truth not in values:
            continue
        tasks.append(Task(name, "short", question, truth))
        wrong = _distractors(truth, values, others.get(name, []), rng)
        options = [truth, *wrong[: OPTIONS - 1]]
        order = rng.permutation(len(options))
        shown = [options[i] for i in order]
        tasks.append(
            Task(name, "choice", question, LETTERS[shown.index(truth)], tuple(form.format(option) for option in shown))
        )
        if name in _CLAIMS:
            for claimed, answer in ((truth, "yes"), (wrong[0], "no")):
                tasks.append(Task(name, "yes/no", _CLAIMS[name].format(claimed), answer))
    return tasks


def _distractors(truth: str, values: Sequence[str], hard: list[str], rng: np.random.Generator) -> list[str]:
    """Every other value, the hard ones first, each part in random order."""
    near = [value for value in dict.fromkeys(hard) if value in values and value != truth]
    rest = [value for value in values if value != truth and value not in near]
    return [part[i] for part in (near, rest) for i in rng.permutation(len(part))]
