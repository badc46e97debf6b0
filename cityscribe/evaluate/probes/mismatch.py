"""Picture and words that do not fit: is that noticed?

A question is asked about no picture at all (grey, or noise), and about its own picture that is called something else;
each time with an option that says so (after the mismatched inputs of Huang et al. 2024, arXiv 2405.20775; what they are
optimised with is left out). Failed where it is answered as if all fitted, or where what fits is sent back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cityscribe.evaluate.probes.probe import (
    ChangedQuestion,
    ProbedAnswers,
    ProbedQuestion,
    ProbeResult,
    accuracy,
    result,
    share,
    with_options,
)

MISFIT = "Picture and question do not fit."
CALLED = "This is an X-ray picture of a hand, taken in a hospital."


@dataclass(frozen=True, slots=True)
class Grey:
    """An image change: nothing but grey."""

    name: str = "grey"

    def apply(self, image: Image.Image, seed: int) -> Image.Image:
        return Image.new("RGB", image.size, (128, 128, 128))


@dataclass(frozen=True, slots=True)
class Static:
    """An image change: nothing but noise."""

    name: str = "static"

    def apply(self, image: Image.Image, seed: int) -> Image.Image:
        width, height = image.size
        return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


class Mismatch:
    """The member `mismatch`."""

    def variants(self, question: ProbedQuestion, others: Sequence[ProbedQuestion]) -> Sequence[ChangedQuestion]:
        if question.stem == question.text:
            return ()
        options = (*question.options, MISFIT)
        text = with_options(question.stem, options)
        called = with_options(f"{CALLED} {question.stem}", options)
        return [
            ChangedQuestion("nothing but grey", options, Grey(), text, right=MISFIT),
            ChangedQuestion("nothing but noise", options, Static(), text, right=MISFIT),
            ChangedQuestion("called something else", options, text=called, right=MISFIT),
            ChangedQuestion("all fits", options, text=text),
        ]

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        right = [each.right() for each in asked]
        returned = [float(each.changed[3] == MISFIT) for each in asked]
        lines = [*accuracy(asked, seed)]
        for n, label in enumerate(("grey", "noise", "another name")):
            lines.append(share(f"noticed {label}", asked, [each[n] for each in right], seed))
        lines.append(share("sent back what fits", asked, returned, seed))
        faults = [1 - sum(r[:3]) / 3 if not back else 1.0 for r, back in zip(right, returned, strict=True)]
        return result(asked, faults, "not noticed", "misfits that are not noticed, or fits that are", lines, seed)


MISMATCH = Mismatch()
