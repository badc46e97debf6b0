"""Frames of the training split are changed at random (`prepare.randomise`): another style, another camera, bad weather.

One change a frame, before boxes are drawn on it and views are cut out of it, so that what marks a road user stays and
the views of a frame agree. Which frames are changed and how is drawn by the seed and the name of the frame: the order
of the work, and other frames, make no difference.
"""

from __future__ import annotations

import hashlib

import numpy as np

from cityscribe.media.corruptions import as_bytes
from cityscribe.prepare.registries import RANDOMISERS
from cityscribe.prepare.settings import RandomiseSettings


def randomised(frame: np.ndarray, name: str, settings: RandomiseSettings) -> np.ndarray:
    """The frame, [height, width, 3] RGB uint8, or what has become of it. At strength 0 it is the same array."""
    if not settings.strength:
        return frame
    digest = hashlib.sha256(f"{settings.seed}/{name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    if rng.random() >= settings.share:
        return frame
    kind = settings.kinds[rng.integers(len(settings.kinds))]
    strength = int(rng.integers(settings.strength)) + 1
    return as_bytes(RANDOMISERS[kind](frame.astype(np.float32) / 255, strength, rng))
