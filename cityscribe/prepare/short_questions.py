"""Short questions about an image, made from its captions (section 3.2.4 of CityLLaVA).

The sentences of one dimension, joined, answer one question. There are six: what the pedestrian looks like, where the
pedestrian and the vehicle are, what each of them does, and what surrounds them. The summary is never asked for.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cityscribe.prepare.labeller import Labelled
from cityscribe.traffic.prompts import Prompts, short_question


@dataclass(frozen=True, slots=True)
class ShortQuestion:
    """One question and its answer. `target` is the road user that it is about; none for the environment."""

    target: str
    dimension: str
    question: str
    answer: str


QUESTIONS = (
    ("attributes", "pedestrian", "attributes", ("pedestrian", "vehicle")),
    ("pedestrian_position", "pedestrian", "position", ("pedestrian",)),
    ("pedestrian_motion", "pedestrian", "motion", ("pedestrian",)),
    ("vehicle_position", "vehicle", "position", ("vehicle",)),
    ("vehicle_motion", "vehicle", "motion", ("vehicle",)),
    ("environment", "", "environment", ("pedestrian", "vehicle")),
)
"""Key in the prompt file, target, dimension, and whose captions can answer, in order of preference.

Both captions of WTS describe the pedestrian's clothing and the weather. Asked once for each caption, one question about
one image would have two answers; so the vehicle's caption answers only what the pedestrian's leaves open.
"""


def short_questions(
    labelled: Mapping[str, Labelled], prompts: Prompts, view_kind: str, phase: int, marked: Sequence[str]
) -> list[ShortQuestion]:
    """The short questions that the labelled captions (by role) of one image can answer, in the order of `QUESTIONS`."""
    found = []
    for key, target, dimension, roles in QUESTIONS:
        question = short_question(prompts, view_kind, phase, marked, key)
        answers = [join_dimension(labelled.get(role, ()), dimension) for role in roles]
        answer = next((answer for answer in answers if answer), "")
        if question and answer:
            found.append(ShortQuestion(target, dimension, question, answer))
    return found


def join_dimension(labelled: Labelled, dimension: str) -> str:
    """The sentences of one dimension, in their order, joined; empty where there is none."""
    return " ".join(sentence for sentence, label in labelled if label == dimension)


def draw(questions: Sequence[ShortQuestion], long: int, ratio: float | None, key: str) -> list[ShortQuestion]:
    """Draw `ratio` short questions for each of `long` long ones, in their order; all of them for None.

    The draw depends on `key` alone, so the order in which groups are prepared changes nothing. Where the number is not
    whole, its fraction is the chance of one more.
    """
    if ratio is None:
        return list(questions)
    generator = random.Random(key)
    wanted = ratio * long
    count = min(int(wanted) + (generator.random() < wanted % 1), len(questions))
    return [questions[place] for place in sorted(generator.sample(range(len(questions)), count))]
