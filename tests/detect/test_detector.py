"""Real detectors of three families, tiny and with random weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cityscribe.detect.detector import detect, load_detector
from cityscribe.files import InputError
from tests.detect.tiny_detectors import FAMILIES, LABELS, write_tiny

RNG = np.random.default_rng(0)
FRAMES = [RNG.integers(0, 256, (48, 112, 3), dtype=np.uint8) for _ in range(4)]


@pytest.mark.parametrize("family", FAMILIES)
def test_detections_are_those_of_transformers_in_xywh_within_the_frame(
    tiny_detector: Callable[[str], Path], family: str
) -> None:
    detector = load_detector(tiny_detector(family))
    found = detect(detector, FRAMES, 0.0)
    with torch.inference_mode():
        outputs = detector.model(**detector.processor(images=FRAMES, return_tensors="pt"))
    expected = detector.processor.post_process_object_detection(outputs, threshold=0.0, target_sizes=[(48, 112)] * 4)
    for ours, theirs in zip(found, expected, strict=True):
        boxes = theirs["boxes"].clamp(min=0)
        boxes = torch.minimum(boxes, torch.tensor([112.0, 48.0, 112.0, 48.0]))
        wanted = {
            (LABELS[label], round(score, 4), *(round(v, 2) for v in (left, top, right - left, bottom - top)))
            for score, label, (left, top, right, bottom) in zip(
                theirs["scores"].tolist(), theirs["labels"].tolist(), boxes.tolist(), strict=True
            )
            if label in (0, 1) and right > left and bottom > top
        }
        told = {
            (
                {"pedestrian": "person", "vehicle": "car"}[each.role],
                round(each.score, 4),
                *(round(v, 2) for v in each.xywh),
            )
            for each in ours
        }
        assert told == wanted
        assert [each.score for each in ours] == sorted((each.score for each in ours), reverse=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_frames_that_go_together_are_seen_as_they_are_alone(tiny_detector: Callable[[str], Path], family: str) -> None:
    detector = load_detector(tiny_detector(family))
    together = detect(detector, FRAMES, 0.0)
    for frame, seen in zip(FRAMES, together, strict=True):
        (alone,) = detect(detector, [frame], 0.0)
        assert [each.score for each in alone] == pytest.approx([each.score for each in seen], abs=1e-5)


def test_what_is_no_detector_is_named(tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match="not a detector that can be loaded"):
        load_detector(tmp_path)
    with pytest.raises(InputError, match="not a detector that can be loaded"):
        load_detector(tiny("llava"))


def test_a_detector_that_knows_no_road_users_is_refused(tmp_path: Path) -> None:
    folder = write_tiny("yolos", tmp_path / "cats", {0: "cat", 1: "dog"})
    with pytest.raises(InputError, match="none of its classes is a road user; they are cat, dog"):
        load_detector(folder)


def test_missing_weights_are_an_error_and_not_drawn_at_random(
    tiny_detector: Callable[[str], Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_detector("yolos"), tmp_path / "torn")
    weights = load_file(folder / "model.safetensors")
    del weights[min(weights)]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="weights are missing"):
        load_detector(folder)
