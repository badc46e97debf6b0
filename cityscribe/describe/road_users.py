"""Who is there: by boxes where there are any (of the data set, or of a detector), else by asking the model.

A road user that is not found is not described. In a vehicle view the vehicle is the one that carries the camera: it is
always there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cityscribe.engine.request import Answer, Engine, Request
from cityscribe.files import InputError
from cityscribe.records import SampleMessage, image_block, message, text_block
from cityscribe.traffic.scenario import View

By = Literal["annotation", "detector", "camera", "model"]

IS_THERE = {
    "pedestrian": "Is there a pedestrian or a cyclist in the picture? Answer with yes or no.",
    "vehicle": "Is there a car or another motor vehicle in the picture? Answer with yes or no.",
}
YES, NO = ("yes", "Yes"), ("no", "No")


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether a road user is in a span, and how that is known. `probability` is the model's, where it was asked."""

    found: bool | None  # None where the model could not tell
    by: By
    probability: float | None = None
    problem: str = ""  # why the model could not tell


def by_boxes(view: View, number: int, role: str, by: By) -> Presence:
    """Whether a road user has a box in a span of a view, whose boxes are labelled with spans; `by` says whose boxes."""
    boxed = bool(view.boxes_of(role, number))
    if role == "vehicle" and view.kind == "vehicle" and not boxed:
        return Presence(True, "camera")
    return Presence(boxed, by)


def by_asking(engine: Engine, asked: Sequence[tuple[Request, str]]) -> list[Presence]:
    """Whether the road user of each request is in its images: a model is asked, yes or no. Of the requests only the
    media count.

    The probability is that of "yes" among "yes" and "no" as the whole answer; an engine that knows no likelihoods (a
    server) says one of them, and then the probability is that of its first token.
    """
    requests = [replace(request, messages=(_question(request, role),)) for request, role in asked]
    if not requests:
        return []
    try:
        scores = engine.score(requests, [[*YES, *NO]] * len(requests), ended=True)
    except InputError:
        said = engine.answer([replace(request, max_tokens=8, logprobs=True) for request in requests])
        return [_said(answer) for (answer,) in said]
    found = []
    for each in scores:
        failed = next((score for score in each if score.problem), None)
        if failed is not None:
            found.append(Presence(None, "model", problem=failed.reason or failed.problem))
            continue
        sums = [score.sum for score in each]
        most = max(sums)
        shares = [math.exp(value - most) for value in sums]
        probability = sum(shares[: len(YES)]) / sum(shares)
        found.append(Presence(probability >= 0.5, "model", round(probability, 4)))
    return found


def _question(request: Request, role: str) -> SampleMessage:
    return message("user", *[image_block() for _ in request.media], text_block(IS_THERE[role]))


def _said(answer: Answer) -> Presence:
    word = answer.text.strip().strip(".,!\"'").casefold().partition(" ")[0].strip(".,!")
    if word not in ("yes", "no"):
        reason = answer.reason or f"neither yes nor no was said, but {answer.text[:40]!r}"
        return Presence(None, "model", problem=reason)
    sure = math.exp(answer.logprobs[0]) if answer.logprobs else None
    probability = None if sure is None else round(sure if word == "yes" else 1 - sure, 4)
    return Presence(word == "yes", "model", probability)
