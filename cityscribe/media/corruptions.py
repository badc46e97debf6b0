"""What bad weather, bad light, cameras and lines do to a picture, each at five strengths.

The kinds are those that ImageNet-C (Hendrycks and Dietterich 2019) and DriveBench (arXiv 2501.04003) ask about, in our
own formulas and strengths, chosen by eye for images of about 640 pixels. Sizes in pixels are shares of the shorter
side, so that small images are hurt as much as large ones. Probes ask about such pictures (`evaluate/probes`), and
training frames can be changed by them (`prepare.randomise`).
"""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

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
    Image.fromarray(as_bytes(pixels)).save(buffer, "JPEG", quality=(30, 18, 10, 6, 3)[strength - 1])
    with Image.open(buffer) as read:
        return np.asarray(read.convert("RGB"), dtype=np.float32) / 255


def lost(pixels: Colours, strength: int, rng: np.random.Generator) -> Colours:
    """Blocks that never arrived: a fifth of the image and so on, at five nothing is left."""
    height, width = pixels.shape[:2]
    order = rng.permutation(100).reshape(10, 10) < 20 * strength
    rows, columns = np.arange(height) * 10 // height, np.arange(width) * 10 // width
    return np.where(order[rows][:, columns][..., None], 0.0, pixels)


CORRUPTIONS: dict[str, Callable[[Colours, int, np.random.Generator], Colours]] = {
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


def as_bytes(pixels: Colours) -> np.ndarray:
    """Rounded and cut to what a byte holds, uint8."""
    return (np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8)
