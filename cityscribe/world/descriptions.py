"""Longer texts about a picture, from its facts: lists, short statements and sentences, in words of many kinds.

What a base model learns to talk from. It shall find every attribute wherever a text wants it, so order and wording are
random; none of the sentences of the captions (`captions.py`) is among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from cityscribe.world.english import article, choose, garment, noun_of, pronouns
from cityscribe.world.facts import Facts
from cityscribe.world.sentence_words import CAPS, JUNCTIONS, SENTENCES, SLOTS, Slots, Wordings
from cityscribe.world.statement_words import SHORT, STATED

Thing = TypeVar("Thing")

LISTED_PERSON = (
    *("sex", "age", "height_cm", "upper_colour", "upper", "lower_colour", "lower", "hat_colour", "carried"),
    *("motion", "gaze"),
)
LISTED_PLACE = (
    *("weather", "light", "surface", "road", "lanes", "sidewalks", "crosswalk", "junction", "traffic"),
    *("position", "distance", "facing", "traffic_light", "speed_limit", "cones", "cyclist"),
)


def in_sentences(facts: Facts, about: Sequence[str], rng: np.random.Generator) -> str:
    """Everything about some keys of SENTENCES. What they are about comes in random order, and so do its parts."""
    parts = [frames for key in _mixed(_seen(facts, about), rng) for frames in _mixed(SENTENCES[key], rng)]
    return " ".join(_sentence(frames, facts, rng) for frames in parts)


def _sentence(frames: Wordings, facts: Facts, rng: np.random.Generator) -> str:
    person, noun = pronouns(facts), noun_of(facts)
    cap = ""
    if facts["hat_colour"] != "none":
        cap = choose(rng, *CAPS).format(cap=article(f"{facts['hat_colour']} cap"))
    words = {slot: text.format(**person) for slot, text in _worded(SLOTS, facts, rng).items()}
    text = choose(rng, *frames).format(
        **person,
        **words,
        noun=noun,
        a_noun=article(noun),
        a_car=article(f"{facts['vehicle_colour']} {facts['vehicle_kind']}"),
        height_cm=facts["height_cm"],
        upper=garment(facts["upper_colour"], facts["upper"]),
        lower=garment(facts["lower_colour"], facts["lower"]),
        cap=cap,
        lanes=f"{facts['lanes']} lane" + ("" if facts["lanes"] == "1" else "s"),
        junction=choose(rng, *JUNCTIONS) if facts["junction"] == "yes" else "",
    )
    return ". ".join(part[0].upper() + part[1:] for part in text.split(". "))


def in_short(facts: Facts, about: Sequence[str], rng: np.random.Generator) -> str:
    """Short statements of everything about some keys of SHORT, in random order."""
    stated = _worded(STATED, facts, rng)
    said = [choose(rng, *wordings).format(**facts, **stated) for key in _seen(facts, about) for wordings in SHORT[key]]
    return " ".join(_mixed([text[0].upper() + text[1:] for text in said], rng))


def listed(facts: Facts, names: Sequence[str], rng: np.random.Generator) -> str:
    """Attributes and their values, in random order."""
    return "; ".join(_mixed([f"{name.replace('_', ' ')}: {facts[name]}" for name in names], rng)) + "."


def _seen(facts: Facts, about: Sequence[str]) -> list[str]:
    """What can be told about: nothing of the vehicle that the camera rides on."""
    return [key for key in about if key != "vehicle" or facts["vehicle_kind"] != "ego"]


def _worded(slots: Slots, facts: Facts, rng: np.random.Generator) -> dict[str, str]:
    """One wording for every slot."""
    return {slot: choose(rng, *values[facts[name]]) for slot, (name, values) in slots.items()}


def _mixed(things: Sequence[Thing], rng: np.random.Generator) -> list[Thing]:
    return [things[i] for i in rng.permutation(len(things))]
