"""The profiles of questions, and how the texts of open ones are scored by any profile."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from cityscribe.evaluate.caption_metrics import score_captions
from cityscribe.evaluate.registries import POINTS, Profile, TextScores


def challenge_texts(pairs: Sequence[tuple[str, str]], backend: str) -> TextScores:
    """The metrics of the AI City Challenge: those of all texts are their means."""
    each = score_captions(pairs)
    return TextScores({metric: fsum(values[metric] for values in each) / len(each) for metric in POINTS}, each)


def coco_texts(pairs: Sequence[tuple[str, str]], backend: str) -> TextScores:
    """The metrics of pycocoevalcap: those of all texts are of the corpus."""
    from cityscribe.evaluate.coco.corpus import score_corpus

    answers, references = [answer for _, answer in pairs], [[reference] for reference, _ in pairs]
    found = score_corpus(answers, references, "java" if backend == "java" else "python")
    return TextScores(found.corpus, found.captions)


CHOICES = Profile(open_questions=False)
ANSWERS = Profile()
