"""The profiles of `registries.PROFILES`."""

from __future__ import annotations

from typing import Any

from cityscribe.evaluate.registries import Profile
from cityscribe.evaluate.wts import Scores, evaluate_wts


def evaluate_coco(*files: Any, **options: Any) -> Scores:
    """`cityscribe.evaluate.coco.profile.evaluate_coco`, imported on first use: the profile `wts` needs none of it."""
    from cityscribe.evaluate.coco import profile

    return profile.evaluate_coco(*files, **options)


WTS = Profile(captions=evaluate_wts)
COCO = Profile(captions=evaluate_coco)
CHOICES = Profile()
ANSWERS = Profile()
