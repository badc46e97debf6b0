"""Frames that `prepare` draws are found again, after JPEG too, and nothing else is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cityscribe.prepare.drawing import COLOURS, draw_boxes
from cityscribe.report.frames import drawn_frames


def jpeg(picture: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=95, subsampling=0)
    return np.asarray(Image.open(buffer))


@pytest.fixture
def street() -> np.ndarray:
    """A lawn, a sky, and a blue car."""
    rng = np.random.default_rng(0)
    picture = rng.integers(90, 140, (120, 200, 3), dtype=np.uint8)
    picture[60:, :] = (60, 120, 50)
    picture[:30, :] = (110, 150, 210)
    picture[50:80, 90:150] = (35, 70, 160)
    return picture


@pytest.mark.parametrize("line_width", [1, 2, 4])
def test_drawn_frames_are_found_to_the_pixel(street: np.ndarray, line_width: int) -> None:
    boxes = {"pedestrian": (30.0, 50.0, 20.0, 45.0), "vehicle": (88.0, 46.0, 66.0, 38.0)}
    found = drawn_frames(jpeg(draw_boxes(street, boxes, box_scale=1.0, line_width=line_width)), COLOURS)
    out = line_width // 2
    for frame in found:
        x, y, width, height = boxes[frame.role]
        there = (x - out, y - out, width + 2 * out, height + 2 * out)
        assert (frame.left, frame.top, frame.width, frame.height) == pytest.approx(there, abs=1)
    assert {frame.role for frame in found} == set(boxes)


def test_without_a_frame_none_is_found(street: np.ndarray) -> None:
    assert drawn_frames(jpeg(street), COLOURS) == ()
    street[20:100, 20] = COLOURS["pedestrian"]
    street[20:100, 60] = COLOURS["pedestrian"]
    assert drawn_frames(street, COLOURS) == (), "two sides are no frame"
