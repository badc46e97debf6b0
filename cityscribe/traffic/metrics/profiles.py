"""The profiles of captions of traffic, members of `evaluate.registries.PROFILES`."""

from __future__ import annotations

from typing import Any

from cityscribe.evaluate.profiles import challenge_texts, coco_texts
from cityscribe.evaluate.registries import Profile
from cityscribe.traffic.metrics.caption_scores import CaptionScores
from cityscribe.traffic.metrics.wts import evaluate_wts


def evaluate_coco(*files: Any, **options: Any) -> CaptionScores:
    """`cityscribe.traffic.metrics.coco.evaluate_coco`, imported on first use: the profile `wts` needs none of it."""
    from cityscribe.traffic.metrics import coco

    return coco.evaluate_coco(*files, **options)


WTS = Profile(captions=evaluate_wts, texts=challenge_texts)
COCO = Profile(captions=evaluate_coco, texts=coco_texts)
