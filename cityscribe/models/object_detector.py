"""Any Hugging Face object detector (RT-DETR, DETR, YOLOS and their kin), by the names of its classes.

    detector = load_object_detector("PekingU/rtdetr_r50vd")
    for label, score, xywh in found_objects(detector.model, detector.processor, [frame], threshold=0.3)[0]: ...

Images are processed with Pillow and NumPy: no torchvision is needed. Weights are safetensors, and no code of a
checkpoint is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import AutoImageProcessor, AutoModelForObjectDetection, PreTrainedModel

from cityscribe.files import InputError
from cityscribe.models.load import named_errors, quiet, resolve_base


@dataclass(frozen=True, slots=True)
class ObjectDetector:
    """A model, what prepares images for it, and the names of its classes."""

    model: PreTrainedModel
    processor: Any
    labels: dict[int, str]


class FoundObject(NamedTuple):
    """One object: the number of its class, `score` in [0, 1], `xywh` in pixels of the frame, clipped to it."""

    label: int
    score: float
    xywh: tuple[float, float, float, float]


def load_object_detector(base: str | Path) -> ObjectDetector:
    """Load a detector from a folder or hub id, on the GPU where there is one.

    Raises InputError where it cannot be loaded, or has weights missing.
    """
    place = resolve_base(base)
    with named_errors(place, "not a detector that can be loaded"), quiet():
        model, loading = AutoModelForObjectDetection.from_pretrained(
            place, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
        processor = AutoImageProcessor.from_pretrained(place, backend="pil", trust_remote_code=False)
    if loading["missing_keys"]:
        raise InputError(f"{place}: weights are missing, the first of them `{sorted(loading['missing_keys'])[0]}`")
    labels = {int(number): str(label) for number, label in model.config.id2label.items()}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return ObjectDetector(model.eval().to(device), processor, labels)


@torch.inference_mode()
def found_objects(
    model: PreTrainedModel, processor: Any, frames: Sequence[np.ndarray], threshold: float
) -> list[list[FoundObject]]:
    """The objects of each frame (RGB uint8 [height, width, 3], of one size) that score above the threshold, of all
    classes, the surest first. The frames go through the model together."""
    height, width = frames[0].shape[:2]
    inputs = processor(images=list(frames), return_tensors="pt").to(model.device)
    outputs = model(**inputs)
    sizes = [(height, width)] * len(frames)
    found = processor.post_process_object_detection(outputs, threshold=threshold, target_sizes=sizes)
    return [_clipped(of_frame, width, height) for of_frame in found]


def _clipped(found: dict[str, torch.Tensor], width: int, height: int) -> list[FoundObject]:
    objects = []
    columns = (found["scores"].tolist(), found["labels"].tolist(), found["boxes"].tolist())
    for score, label, (left, top, right, bottom) in zip(*columns, strict=True):
        left, right = max(left, 0.0), min(right, float(width))
        top, bottom = max(top, 0.0), min(bottom, float(height))
        if right > left and bottom > top:
            objects.append(FoundObject(label, score, (left, top, right - left, bottom - top)))
    return sorted(objects, key=lambda each: (-each.score, each.xywh))
