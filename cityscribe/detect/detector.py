"""Any Hugging Face object detector (RT-DETR, DETR, YOLOS and their kin), asked for pedestrians and vehicles.

    detector = load_detector("PekingU/rtdetr_r50vd")
    found = detect(detector, frames, threshold=0.3)

Images are processed with Pillow and NumPy: no torchvision is needed. Weights are safetensors, and no code of a
checkpoint is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoImageProcessor, AutoModelForObjectDetection, PreTrainedModel
from transformers.utils import logging as transformers_logging

from cityscribe.files import InputError
from cityscribe.models.load import resolve_base
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
    place = resolve_base(base)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        model, loading = AutoModelForObjectDetection.from_pretrained(
            place, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
        processor = AutoImageProcessor.from_pretrained(place, backend="pil", trust_remote_code=False)
    except Exception as error:  # a checkpoint is input: its faults surface as whatever the reading code ran into
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        where = place if Path(place).is_dir() else f"{place}: no such folder, and as a hub id it cannot be loaded"
        raise InputError(f"{where}: not a detector that can be loaded: {reason}") from error
    if loading["missing_keys"]:
        raise InputError(f"{place}: weights are missing, the first of them `{sorted(loading['missing_keys'])[0]}`")
    labels = {int(number): str(label) for number, label in model.config.id2label.items()}
    roles = {number: role for number, label in labels.items() if (role := Track("", label, ()).role)}
    if not roles:
        raise InputError(f"{place}: none of its classes is a road user; they are {', '.join(labels.values())[:200]}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Detector(model.eval().to(device), processor, roles)


@torch.inference_mode()
def detect(detector: Detector, frames: Sequence[np.ndarray], threshold: float) -> list[list[Detection]]:
    """The road users of each frame (RGB uint8 [height, width, 3], of one size) that score above the threshold, the
    surest first. The frames go through the model together."""
    height, width = frames[0].shape[:2]
    inputs = detector.processor(images=list(frames), return_tensors="pt").to(detector.model.device)
    outputs = detector.model(**inputs)
    sizes = [(height, width)] * len(frames)
    found = detector.processor.post_process_object_detection(outputs, threshold=threshold, target_sizes=sizes)
    return [_detections(detector, of_frame, width, height) for of_frame in found]


def _detections(detector: Detector, found: dict[str, torch.Tensor], width: int, height: int) -> list[Detection]:
    detections = []
    columns = (found["scores"].tolist(), found["labels"].tolist(), found["boxes"].tolist())
    for score, label, (left, top, right, bottom) in zip(*columns, strict=True):
        left, right = max(left, 0.0), min(right, float(width))
        top, bottom = max(top, 0.0), min(bottom, float(height))
        if label in detector.roles and right > left and bottom > top:
            detections.append(Detection(detector.roles[label], score, (left, top, right - left, bottom - top)))
    return sorted(detections, key=lambda each: (-each.score, each.xywh))
