"""Bits of English that captions, questions and descriptions share."""

from __future__ import annotations

import numpy as np

from cityscribe.world.facts import Facts

PLURAL = ("trousers", "pants", "shorts")


def article(words: str) -> str:
    """Words with "a" or "an" before them."""
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def garment(colour: str, name: str) -> str:
    """A coloured garment, with an article where it is one thing."""
    return f"{colour} {name}" if name in PLURAL else article(f"{colour} {name}")


def noun_of(facts: Facts) -> str:
    """What a person is called: man, woman, boy or girl."""
    young = facts["age"] == "child"
    if facts["sex"] == "male":
        return "boy" if young else "man"
    return "girl" if young else "woman"


def pronouns(facts: Facts) -> dict[str, str]:
    """The pronouns of a person by the male ones, as they stand in sentence patterns: he, his, him, He, His."""
    he, his, him = ("he", "his", "him") if facts["sex"] == "male" else ("she", "her", "her")
    return {"he": he, "his": his, "him": him, "He": he.capitalize(), "His": his.capitalize()}


def choose(rng: np.random.Generator, *options: str) -> str:
    """One of some wordings."""
    return options[int(rng.integers(len(options)))]
