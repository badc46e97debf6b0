"""Any Hugging Face object detector (RT-DETR, DETR, YOLOS and their kin), asked for pedestrians and vehicles.

detector = load_detector("PekingU/rtdetr_r50vd")
found = detect(detector, frames, threshold=0.3)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from cityscribe.files import InputError
from cityscribe.models.object_detector import found_objects, load_object_detector
from cityscribe.sources.boxes.track import Track


@dataclass(frozen=True, slots=True)
class Detection:
    """One road user that a detector sees: `xywh` in pixels of the frame, clipped to it; `score` in [0, 1]."""

    role: str
    score: float
    xywh: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Detector:
    """A model, what prepares images for it, and which of its classes are which road user."""

    model: PreTrainedModel
    processor: Any
    roles: dict[int, str]


def load_detector(base: str | Path) -> Detector:
    """Load a detector from a folder or hub id, on the GPU where there is one.

    Raises InputError where it cannot be loaded, has weights missing, or knows neither pedestrians nor vehicles.
    """
    found = load_object_detector(base)
    roles = {number: role for number, label in found.labels.items() if (role := Track("", label, ()).role)}
    if not roles:
        known = ", ".join(found.labels.values())[:200]
        raise InputError(f"{base}: none of its classes is a road user; they are {known}")
    return Detector(found.model, found.processor, roles)


def detect(detector: Detector, frames: Sequence[np.ndarray], threshold: float) -> list[list[Detection]]:
    """The road users of each frame (RGB uint8 [height, width, 3], of one size) that score above the threshold, the
    surest first. The frames go through the model together."""
    return [
        [Detection(detector.roles[label], score, xywh) for label, score, xywh in of_frame if label in detector.roles]
        for of_frame in found_objects(detector.model, detector.processor, frames, threshold)
    ]
