"""Rewards that are metrics of an answer against the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from cityscribe.records import Sample
from cityscribe.rewards.reward import Reward, reference_answer


class ReferenceOverlap(Reward):
    """ROUGE-L F1, 0 to 1."""

    kind: Literal["overlap"] = "overlap"

    needs_reference: ClassVar[bool] = True

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        from cityscribe.evaluate.rouge import rouge_l  # settings name rewards, and load no NumPy for it

        reference = reference_answer(sample)
        return [rouge_l(reference, answer) for answer in answers]


class CaptionScore(Reward):
    """BLEU-4, METEOR, ROUGE-L and CIDEr-D of a caption by the rules of the challenge, 0 to 1. 0 without a reference."""

    kind: Literal["caption-score"] = "caption-score"

    needs_reference: ClassVar[bool] = True

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        from cityscribe.evaluate.caption_metrics import score_captions
        from cityscribe.evaluate.registries import challenge_points

        reference = reference_answer(sample)
        if not any(character.isalnum() for character in reference):
            return [0.0] * len(answers)
        return [challenge_points(each) / 100 for each in score_captions([(reference, answer) for answer in answers])]
