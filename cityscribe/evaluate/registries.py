"""The profiles of an evaluation by name. Importing this loads none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cityscribe.files import InputError
from cityscribe.registry import Registry


def no_captions(*files: Any, **options: Any) -> Any:
    """Of a profile that has no rules for captions. Raises InputError."""
    raise InputError("this profile is of questions; captions are scored by wts or coco")


@dataclass(frozen=True, slots=True)
class Profile:
    """The rules of an evaluation."""

    captions: Callable[..., Any] = no_captions
    """(references, predictions, split=, official_quirks=, backend=) -> Scores"""


PROFILES: Registry[Profile] = Registry("profile", "the rules of an evaluation (evaluate.profile)")
_HOME = "cityscribe.evaluate.profiles"
PROFILES.add("wts", f"{_HOME}:WTS", "captions: the AI City Challenge, Track 2")
PROFILES.add("coco", f"{_HOME}:COCO", "captions: pycocoevalcap", paper="Chen et al. 2015", extra="coco")
PROFILES.add("choices", f"{_HOME}:CHOICES", "questions with options")
PROFILES.add("answers", f"{_HOME}:ANSWERS", "questions with short answers: exact match and token F1")
