"""The images in bad weather and light, noisy, blurred, coarse, compressed or lost, each at five strengths.

The kinds are those that ImageNet-C (Hendrycks and Dietterich 2019) and DriveBench (arXiv 2501.04003) ask about, in our
own formulas and strengths, chosen by eye for images of about 640 pixels: compare with other models here, not with
published numbers. Sizes in pixels are shares of the shorter side, so that small images are hurt as much as large ones.

A model that does not look is not hurt either. Where looking is not surely worth anything, the finding is `unclear`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum

import cv2
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
    judged,
    plain_right,
)

STRENGTHS = (1, 2, 3, 4, 5)

Colours = np.ndarray  # [height, width, 3], 0 to 1


def fog(pixels: Colours, strength: int, rng: np.random.Generator) -> Colours:
    """A bright veil in clouds."""
    veil = 0.75 + 0.25 * clouds(pixels.shape[:2], rng)[..., None]
    share = (0.25, 0.4, 0.55, 0.7, 0.82)[strength - 1]
    return pixels * (1 - share) + veil * share


def rain(pixels: Colours, strength: int, rng: np.random.Generator) -> Colours:
    """Bright slanted streaks before a darker picture."""
    return _falling(pixels * (1 - 0.06 * strength), 0.002 * strength, 0.12, 15.0, 0.55, rng)


def snow(pixels: Colours, strength: int, rng: np.random.Generator) -> Colours:
    """White flakes before a paler picture."""
    return _falling(pixels * (1 - 0.05 * strength) + 0.05 * strength, 0.004 * strength, 0.02, 30.0, 0.95, rng)


def dark(pixels: Colours, strength: int, rng: np.random.Generator) -> Colours:
    """Little light: a steeper curve, and the noise that comes with it."""
    low = pixels ** (1 + 0.1 * strength) * (0.75, 0.6, 0.46, 0.34, 0.24)[strength - 1]
    return np.asarray(low + rng.normal(0, 0.006 * strength, pixels.shape))


def bright(pixels: Colours, strength: int, rng: np.random.Generator) -> Colours:
    """Overexposed."""
    return pixels * (1 + 0.25 * strength) + 0.08 * strength


def noise(pixels: Colours, strength: int, rng: np.random.Generator) -> Colours:
    """Gaussian noise."""
    return np.asarray(pixels + rng.normal(0, (0.05, 0.1, 0.16, 0.24, 0.35)[strength - 1], pixels.shape))


def blur(pixels: Colours, strength: int, rng: np.random.Generator) -> Colours:
    """Out of focus."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), strength * max(0.5, 0.0035 * min(pixels.shape[:2]))))


def motion_blur(pixels: Colours, strength: int, rng: np.random.Generator) -> Colours:
    """The camera moves sideways, a little up or down."""
    return streaked(pixels, 0.02 * strength * min(pixels.shape[:2]), rng.uniform(-20, 20))


def coarse(pixels: Colours, strength: int, rng: np.random.Generator) -> Colours:
    """Few pixels, shown as large ones."""
    height, width = pixels.shape[:2]
    factor = (1.5, 2.5, 4, 6, 9)[strength - 1]
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    few = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_NEAREST))


def compression(pixels: Colours, strength: int, rng: np.random.Generator) -> Colours:
    """JPEG of low quality."""
    buffer = io.BytesIO()
    Image.fromarray(_bytes(pixels)).save(buffer, "JPEG", quality=(30, 18, 10, 6, 3)[strength - 1])
    with Image.open(buffer) as read:
        return np.asarray(read.convert("RGB"), dtype=np.float32) / 255


def lost(pixels: Colours, strength: int, rng: np.random.Generator) -> Colours:
    """Blocks that never arrived: a fifth of the image and so on, at five nothing is left."""
    height, width = pixels.shape[:2]
    order = rng.permutation(100).reshape(10, 10) < 20 * strength
    rows, columns = np.arange(height) * 10 // height, np.arange(width) * 10 // width
    return np.where(order[rows][:, columns][..., None], 0.0, pixels)


KINDS: dict[str, Callable[[Colours, int, np.random.Generator], Colours]] = {
    "fog": fog,
    "rain": rain,
    "snow": snow,
    "dark": dark,
    "bright": bright,
    "noise": noise,
    "blur": blur,
    "motion-blur": motion_blur,
    "coarse": coarse,
    "compression": compression,
    "lost": lost,
}


@dataclass(frozen=True, slots=True)
class Corrupted:
    """An image change of one kind (of `KINDS`) and strength (1 to 5)."""

    kind: str
    strength: int

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.strength}"

    def apply(self, image: Image.Image, seed: int) -> Image.Image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
        rng = np.random.default_rng([seed, sorted(KINDS).index(self.kind), self.strength])
        return Image.fromarray(_bytes(KINDS[self.kind](pixels, self.strength, rng)))


class Corruption:
    """The member `corruption`."""

    def variants(self, question: ProbedQuestion, others: Sequence[ProbedQuestion]) -> Sequence[ChangedQuestion]:
        changes = [Corrupted(kind, strength) for kind in KINDS for strength in STRENGTHS]
        return [ChangedQuestion(change.name, question.options, change) for change in changes]

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        plain = plain_right(asked)
        right = {
            variant.name: [float(each.changed[n] == each.truth) for each in asked]
            for n, variant in enumerate(v.change for v in asked[0].variants)
            if isinstance(variant, Corrupted)
        }
        lines = list(accuracy(asked, seed))
        looks = lines[-1].interval is not None and lines[-1].interval.low > 0

        def loss(name: str, labels: Sequence[str]) -> ProbeLine:
            mean = [fsum(values) / len(values) for values in zip(*(right[label] for label in labels), strict=True)]
            return difference(name, asked, plain, mean, seed)

        by_kind = [loss(f"lost by {kind}", [f"{kind}-{n}" for n in STRENGTHS]) for kind in KINDS]
        by_strength = [loss(f"lost at strength {n}", [f"{kind}-{n}" for kind in KINDS]) for n in STRENGTHS]
        total = loss("lost by all", list(right))
        worst = max(by_kind, key=lambda line: line.value)
        finding, why = judged(total, "accuracy that corrupted images cost")
        if finding != "failed" and not looks:
            finding, why = "unclear", "looking at the images is not surely worth anything, so what hurts them cannot be"
        else:
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


def clouds(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Smooth noise from 0 to 1, [height, width]: noise of several sizes, the coarse ones strongest."""
    height, width = size
    total = np.zeros(size, np.float32)
    for octave in range(1, 6):
        cells = rng.random((2**octave + 1, 2**octave + 1)).astype(np.float32)
        total += cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    spread = float(np.ptp(total))
    return (total - total.min()) / spread if spread else total


def streaked(pixels: np.ndarray, length: float, degrees: float) -> np.ndarray:
    """Blurred along a line of so many pixels; degrees from the horizontal."""
    size = max(3, 2 * round(length / 2) + 1)
    line = np.zeros((size, size), np.float32)
    line[size // 2] = 1
    turn = cv2.getRotationMatrix2D((size // 2, size // 2), degrees, 1)
    kernel = cv2.warpAffine(line, turn, (size, size))
    return np.asarray(cv2.filter2D(pixels, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE))


def _falling(
    pixels: Colours, density: float, length: float, slant: float, white: float, rng: np.random.Generator
) -> Colours:
    """Drops or flakes that cover about a share `density` of the pixels before they fall; `length` is how far they fall
    while the picture is taken, as a share of the shorter side, `slant` degrees from the vertical."""
    side = min(pixels.shape[:2])
    drops: np.ndarray = (rng.random(pixels.shape[:2]) < density).astype(np.float32)
    drops = cv2.GaussianBlur(drops, (0, 0), max(0.4, 0.0025 * side))
    drops = streaked(drops, length * side, 90 - slant)
    drops = np.clip(drops / max(float(np.quantile(drops, 0.99)), 1e-6), 0, 1)[..., None]
    return pixels * (1 - 0.7 * drops) + white * 0.7 * drops


def _bytes(pixels: Colours) -> np.ndarray:
    return (np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8)
