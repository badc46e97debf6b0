"""The images in bad weather and light, noisy, blurred, coarse, compressed or lost, each at five strengths.

The kinds are those of ImageNet-C and DriveBench in our own formulas and strengths (`media/corruptions.py`): compare
with other models here, not with published numbers.

A model that does not look is not hurt either. Where looking is not surely worth anything, the finding is `unclear`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np
from PIL import Image

from cityscribe.evaluate.probes.probe import (
    ChangedQuestion,
    ProbedAnswers,
    ProbedQuestion,
    ProbeLine,
    ProbeResult,
    accuracy,
    difference,
    judged_if_looked,
    looks,
    plain_right,
)
from cityscribe.media.corruptions import CORRUPTIONS, STRENGTHS, as_bytes


@dataclass(frozen=True, slots=True)
class Corrupted:
    """An image change of one kind (of `CORRUPTIONS`) and strength (1 to 5)."""

    kind: str
    strength: int

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.strength}"

    def apply(self, image: Image.Image, seed: int) -> Image.Image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
        rng = np.random.default_rng([seed, sorted(CORRUPTIONS).index(self.kind), self.strength])
        return Image.fromarray(as_bytes(CORRUPTIONS[self.kind](pixels, self.strength, rng)))


class Corruption:
    """The member `corruption`."""

    def variants(self, question: ProbedQuestion, others: Sequence[ProbedQuestion]) -> Sequence[ChangedQuestion]:
        changes = [Corrupted(kind, strength) for kind in CORRUPTIONS for strength in STRENGTHS]
        return [ChangedQuestion(change.name, question.options, change) for change in changes]

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        plain = plain_right(asked)
        right = {
            variant.name: [float(each.changed[n] == each.truth) for each in asked]
            for n, variant in enumerate(v.change for v in asked[0].variants)
            if isinstance(variant, Corrupted)
        }
        lines = list(accuracy(asked, seed))

        def loss(name: str, labels: Sequence[str]) -> ProbeLine:
            mean = [fsum(values) / len(values) for values in zip(*(right[label] for label in labels), strict=True)]
            return difference(name, asked, plain, mean, seed)

        by_kind = [loss(f"lost by {kind}", [f"{kind}-{n}" for n in STRENGTHS]) for kind in CORRUPTIONS]
        by_strength = [loss(f"lost at strength {n}", [f"{kind}-{n}" for kind in CORRUPTIONS]) for n in STRENGTHS]
        total = loss("lost by all", list(right))
        worst = max(by_kind, key=lambda line: line.value)
        finding, why = judged_if_looked(
            total, "accuracy that corrupted images cost", lines, "hurting them shows nothing"
        )
        if finding == "failed" or looks(lines):
            why += f"; most by {worst.name.removeprefix('lost by ')}, {100 * worst.value:.1f} points"
        examples = [
            each.question.key
            for n, each in enumerate(asked)
            if plain[n] and fsum(values[n] for values in right.values()) < len(right) / 2
        ]
        faults = [
            right_plain - fsum(values[n] for values in right.values()) / len(right)
            for n, right_plain in enumerate(plain)
        ]
        measured = (*lines, total, *by_strength, *by_kind)
        return ProbeResult(finding, why, measured, tuple(examples), total, tuple(faults))


CORRUPTION = Corruption()
