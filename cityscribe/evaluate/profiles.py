"""The profiles of `registries.PROFILES`."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Any

from cityscribe.evaluate.registries import POINTS, Profile, TextScores
from cityscribe.evaluate.wts import Scores, evaluate_wts, score_captions


def evaluate_coco(*files: Any, **options: Any) -> Scores:
    """`cityscribe.evaluate.coco.profile.evaluate_coco`, imported on first use: the profile `wts` needs none of it."""
    from cityscribe.evaluate.coco import profile

    return profile.evaluate_coco(*files, **options)


def wts_texts(pairs: Sequence[tuple[str, str]], backend: str) -> TextScores:
    """The metrics of the profile `wts`: those of all texts are their means."""
    each = score_captions(pairs)
    return TextScores({metric: fsum(values[metric] for values in each) / len(each) for metric in POINTS}, each)


def coco_texts(pairs: Sequence[tuple[str, str]], backend: str) -> TextScores:
    """The metrics of the profile `coco`: those of all texts are of the corpus."""
    from cityscribe.evaluate.coco.profile import score_corpus

    answers, references = [answer for _, answer in pairs], [[reference] for reference, _ in pairs]
    found = score_corpus(answers, references, "java" if backend == "java" else "python")
    return TextScores(found.corpus, found.captions)


WTS = Profile(captions=evaluate_wts, texts=wts_texts)
COCO = Profile(captions=evaluate_coco, texts=coco_texts)
CHOICES = Profile(open_questions=False)
ANSWERS = Profile()
