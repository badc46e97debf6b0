"""Pictures in pieces: their patches in a random order, or some of them covered (arXiv 2410.04751).

A question about where things are, or what shape they have, cannot be answered from a picture whose patches are mixed.
`patch-order` fails where answers that need the picture stay right all the same: the model takes a picture for a bag of
colours, or the questions ask for no more. `occlusion` fails where little that is covered costs much.
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
    changed_right,
    difference,
    judged_if_looked,
    plain_right,
    result,
    share,
)

GRIDS = (2, 4, 8, 14)
"""Patches along each side."""

COVERED = (0.1, 0.25, 0.5, 0.75)
"""Shares of the patches of the finest grid."""


@dataclass(frozen=True, slots=True)
class Permuted:
    """An image change: its patches in a random order. Where sides cannot be divided, the rest stays at the rim."""

    grid: int

    @property
    def name(self) -> str:
        return f"permuted-{self.grid}"

    def apply(self, image: Image.Image, seed: int) -> Image.Image:
        pixels = np.asarray(image.convert("RGB")).copy()
        grid = min(self.grid, *pixels.shape[:2])
        high, wide = pixels.shape[0] // grid, pixels.shape[1] // grid
        inner = pixels[: high * grid, : wide * grid]
        patches = inner.reshape(grid, high, grid, wide, 3).swapaxes(1, 2).reshape(grid * grid, high, wide, 3)
        order = np.random.default_rng([seed, self.grid]).permutation(len(patches))
        mixed = patches[order].reshape(grid, grid, high, wide, 3).swapaxes(1, 2).reshape(inner.shape)
        pixels[: high * grid, : wide * grid] = mixed
        return Image.fromarray(pixels)


@dataclass(frozen=True, slots=True)
class Covered:
    """An image change: a share of its patches is grey. What a smaller share covers, a larger one covers too."""

    share: float

    @property
    def name(self) -> str:
        return f"covered-{round(100 * self.share)}"

    def apply(self, image: Image.Image, seed: int) -> Image.Image:
        pixels = np.asarray(image.convert("RGB")).copy()
        grid = GRIDS[-1]
        hidden = np.random.default_rng(seed).permutation(grid * grid).reshape(grid, grid) < self.share * grid * grid
        rows, columns = (np.arange(side) * grid // side for side in pixels.shape[:2])
        pixels[hidden[rows][:, columns]] = 128
        return Image.fromarray(pixels)


class PatchOrder:
    """The member `patch-order`."""

    def variants(self, question: ProbedQuestion, others: Sequence[ProbedQuestion]) -> Sequence[ChangedQuestion]:
        return [ChangedQuestion(f"{n}x{n} patches mixed", question.options, Permuted(n)) for n in GRIDS]

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        plain = plain_right(asked)
        blind = [float(each.blind == each.truth) for each in asked]
        lines = [*accuracy(asked, seed)]
        for n in GRIDS:
            mixed = changed_right(asked, f"{n}x{n} patches mixed")
            lines.append(share(f"right with {n}x{n} patches mixed", asked, mixed, seed))
        finest = changed_right(asked, f"{GRIDS[-1]}x{GRIDS[-1]} patches mixed")
        faults = [p * (1 - b) * f for p, b, f in zip(plain, blind, finest, strict=True)]
        what = "answers that need the picture and stay right when its patches are mixed"
        return result(asked, faults, "right all the same", what, lines, seed)


class Occlusion:
    """The member `occlusion`."""

    def variants(self, question: ProbedQuestion, others: Sequence[ProbedQuestion]) -> Sequence[ChangedQuestion]:
        return [ChangedQuestion(f"{round(100 * n)} % covered", question.options, Covered(n)) for n in COVERED]

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        plain, lines = plain_right(asked), list(accuracy(asked, seed))
        right = {n: changed_right(asked, f"{round(100 * n)} % covered") for n in COVERED}
        lines += [difference(f"lost with {round(100 * n)} % covered", asked, plain, right[n], seed) for n in COVERED]
        fault = lines[3]
        finding, why = judged_if_looked(
            fault, "accuracy that a covered tenth costs", lines, "covering them cannot hurt"
        )
        faults = [one - other for one, other in zip(plain, right[COVERED[0]], strict=True)]
        examples = [each.question.key for each, bad in zip(asked, faults, strict=True) if bad > 0]
        return ProbeResult(finding, why, tuple(lines), tuple(examples), fault, tuple(faults))


PATCH_ORDER = PatchOrder()
OCCLUSION = Occlusion()
