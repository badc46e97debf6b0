"""Scores for predictions, by the rules of a named profile.

A profile is a function of references and predictions. Adding one is adding a module and an entry here.
"""

from __future__ import annotations

from typing import Any

from cityscribe.evaluate.wts import Scores, evaluate_wts, score_caption


def evaluate_coco(*files: Any, **options: Any) -> Scores:
    """`cityscribe.evaluate.coco.profile.evaluate_coco`, imported on first use: the profile `wts` needs none of it."""
    from cityscribe.evaluate.coco import profile

    return profile.evaluate_coco(*files, **options)


PROFILES = {"wts": evaluate_wts, "coco": evaluate_coco}

__all__ = ["PROFILES", "Scores", "evaluate_coco", "evaluate_wts", "score_caption"]
