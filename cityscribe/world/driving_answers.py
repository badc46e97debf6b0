"""What an answer to a driving task says, read from any wording: the state of the light, yes or no, a number, what lies
ahead. So an answer counts as right whose words are others than those of the reference.

    read_driving("traffic light", "It shows red.")     # frozenset({"red"})
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Literal

from cityscribe.records import Sample
from cityscribe.rewards.reward import Reward, reference_answer

DrivingAnswer = frozenset[str]

LIGHT = {"red": "red", "yellow": "yellow|amber|orange", "green": "green"}
AHEAD = {
    "junction": r"junctions?|intersections?|crossroads?|another road|side road",
    "crossing": r"crossings?|crosswalks?|zebra(?: stripes| crossing)?",
    "person": r"somebody|someone|person|pedestrian|people",
}
NOTHING = r"\b(?:none|no|nothing|not|neither|without)\b"


def _named(words: dict[str, str], text: str) -> DrivingAnswer:
    return frozenset(name for name, pattern in words.items() if re.search(rf"\b(?:{pattern})\b", text))


def read_driving(task: str, answer: str) -> DrivingAnswer | None:
    """What an answer to one of the four tasks says; None where it says nothing that can be read, or two things at once.

    traffic light: one state, or "none". cones: "yes" or "no". speed: one whole number. junction: what of `AHEAD` is
    named, or "none"; a thing right behind a no is not named.
    """
    text = answer.lower()
    if task == "traffic light":
        named = _named(LIGHT, text)
        if not named and re.search(NOTHING, text):
            return frozenset({"none"})
        return named if len(named) == 1 else None
    if task == "cones":
        found = re.search(r"\b(?:yes|no)\b", text)
        return None if found is None else frozenset({found[0]})
    if task == "speed":
        numbers = re.findall(r"\d+", text)
        return frozenset({str(int(numbers[0]))}) if len(numbers) == 1 else None
    if task == "junction":
        kept = re.sub(rf"\b(?:no|nor|neither) (?:{'|'.join(AHEAD.values())})\b", "no", text)
        named = _named(AHEAD, kept)
        return named or (frozenset({"none"}) if re.search(NOTHING, text) else None)
    return None


class DrivingTruth(Reward):
    """1 where an answer to a driving task says what the reference says, else 0. Other questions are worth 0."""

    kind: Literal["driving"] = "driving"

    needs_reference: ClassVar[bool] = True

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        task = sample.meta.dimension
        right = read_driving(task, reference_answer(sample))
        return [float(right is not None and read_driving(task, answer) == right) for answer in answers]
