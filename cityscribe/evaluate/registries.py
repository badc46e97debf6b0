"""The profiles of an evaluation by name. Importing this loads none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any, Literal, NamedTuple

from cityscribe.files import InputError
from cityscribe.registry import Registry

POINTS = {"bleu": 100.0, "meteor": 100.0, "rouge-l": 100.0, "cider": 10.0}
"""What a metric of 1 is worth in the score of the challenge."""


MetricBackend = Literal["python", "java"]
"""What computes the profile `coco`: this package, or the original."""


class TextScores(NamedTuple):
    """Metrics of texts, each against its reference."""

    mean: dict[str, float]  # of all texts together
    each: list[dict[str, float]]


def challenge_points(values: Mapping[str, float]) -> float:
    """The score that the AI City Challenge makes of metrics, from 0 to 100."""
    return fsum(worth * values[metric] for metric, worth in POINTS.items()) / len(POINTS)


def no_captions(*files: Any, **options: Any) -> Any:
    """Of a profile that has no rules for captions. Raises InputError."""
    raise InputError("this profile is of questions; captions are scored by wts or coco")


@dataclass(frozen=True, slots=True)
class Profile:
    """The rules of an evaluation: of the captions of a data set, of the texts of open questions, or of both."""

    captions: Callable[..., Any] = no_captions
    """(references, predictions, split=, official_quirks=, backend=) -> the scores of a data set's captions: `total`,
    `segments`, `warnings`, `provenance`"""

    texts: Callable[[Sequence[tuple[str, str]], str], TextScores] | None = None
    """(pairs of a reference and an answer, backend) -> TextScores; None: open questions have short answers"""

    points: Callable[[Mapping[str, float]], float] = challenge_points
    """Metrics -> points, from 0 to 100"""

    open_questions: bool = True
    """Whether open questions are scored at all"""


def _check(name: str, member: Any) -> None:
    if not isinstance(member, Profile):
        raise InputError(f"profile {name}: expected a Profile, found {type(member).__name__}")


PROFILES: Registry[Profile] = Registry("profile", "the rules of an evaluation (evaluate.profile)", _check)
_HOME, _TRAFFIC = "cityscribe.evaluate.profiles", "cityscribe.traffic.metrics.profiles"
PROFILES.add("wts", f"{_TRAFFIC}:WTS", "captions: the AI City Challenge, Track 2")
PROFILES.add("coco", f"{_TRAFFIC}:COCO", "captions: pycocoevalcap", paper="Chen et al. 2015", extra="coco")
PROFILES.add("choices", f"{_HOME}:CHOICES", "questions with options")
PROFILES.add("answers", f"{_HOME}:ANSWERS", "questions with short answers: exact match and token F1")
