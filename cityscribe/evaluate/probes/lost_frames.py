"""Frames that never arrived: of a question about several images a fifth is black, and so on, at five all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from random import Random

from PIL import Image

from cityscribe.evaluate.probes.probe import (
    ChangedQuestion,
    ProbedAnswers,
    ProbedQuestion,
    ProbeResult,
    accuracy,
    difference,
    judged_if_looked,
    plain_right,
)

STRENGTHS = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Black:
    """An image change: nothing is left."""

    name: str = "black"

    def apply(self, image: Image.Image, seed: int) -> Image.Image:
        return Image.new("RGB", image.size)


class LostFrames:
    """The member `lost-frames`."""

    def variants(self, question: ProbedQuestion, others: Sequence[ProbedQuestion]) -> Sequence[ChangedQuestion]:
        count = len(question.images)
        if count < 2:
            return ()
        order = Random(f"lost/{question.key}").sample(range(count), count)
        return [
            ChangedQuestion(
                f"{20 * strength} % of the frames lost",
                question.options,
                Black(),
                places=tuple(sorted(order[: _lost(count, strength)])),
            )
            for strength in STRENGTHS
        ]

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        plain, right = plain_right(asked), [each.right() for each in asked]
        lines = list(accuracy(asked, seed))
        for n, strength in enumerate(STRENGTHS):
            lines.append(difference(f"lost at strength {strength}", asked, plain, [each[n] for each in right], seed))
        mean = [fsum(each[:-1]) / (len(STRENGTHS) - 1) for each in right]
        total = difference("lost while some frames are left", asked, plain, mean, seed)
        finding, why = judged_if_looked(total, "accuracy that lost frames cost", lines, "losing them cannot hurt")
        faults = [one - other for one, other in zip(plain, mean, strict=True)]
        examples = [each.question.key for each, bad in zip(asked, faults, strict=True) if bad > 0]
        return ProbeResult(finding, why, (*lines, total), tuple(examples), total, tuple(faults))


def _lost(count: int, strength: int) -> int:
    """How many of the frames are lost: at least one, and all of them at strength five only."""
    return count if strength == STRENGTHS[-1] else min(count - 1, max(1, round(count * strength / 5)))


LOST_FRAMES = LostFrames()
