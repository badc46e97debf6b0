from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityscribe.prepare.drawing import GAZE_SHARE, draw_boxes, draw_gaze
from cityscribe.prepare.geometry import scale_box, to_pixels
from cityscribe.traffic.scenario import Gaze

GREEN, BLUE, RED, GREY = (0, 255, 0), (0, 0, 255), (255, 0, 0), (90, 90, 90)


def grey_frame(width=120, height=80):
    return np.full((height, width, 3), GREY[0], np.uint8)


def painted(frame, colour):
    """Rows and columns of the pixels that have a colour, as a set."""
    return {(int(row), int(column)) for row, column in zip(*np.where((frame == colour).all(-1)), strict=True)}


def test_every_pixel_of_a_worked_example():
    # (20, 30, 10, 20) scaled by 1.2 is (19, 28, 12, 24): columns 19 to 30, rows 28 to 51. A line of 2 is half outside.
    drawn = draw_boxes(grey_frame(), {"pedestrian": (20, 30, 10, 20)}, box_scale=1.2, line_width=2)
    outer = {(row, column) for row in range(27, 53) for column in range(18, 32)}
    inner = {(row, column) for row in range(29, 51) for column in range(20, 30)}
    assert painted(drawn, GREEN) == outer - inner
    assert painted(drawn, GREY) == painted(grey_frame(), GREY) - (outer - inner)


def test_a_line_of_one_pixel_is_the_border_of_the_scaled_box():
    drawn = draw_boxes(grey_frame(), {"vehicle": (20, 30, 10, 20)}, box_scale=1.0, line_width=1)
    border = {(r, c) for r in range(30, 50) for c in range(20, 30) if r in (30, 49) or c in (20, 29)}
    assert painted(drawn, BLUE) == border


def test_at_the_frames_edge_the_line_stays_visible():
    drawn = draw_boxes(grey_frame(), {"vehicle": (-20, -20, 60, 60)}, box_scale=1.0, line_width=4)
    assert (drawn[:4, :40] == BLUE).all()
    assert (drawn[:40, :4] == BLUE).all()
    assert (drawn[4:38, 4:38] == GREY).all()


def test_the_pedestrian_stays_on_top():
    boxes = {"pedestrian": (20, 20, 20, 20), "vehicle": (20, 20, 20, 20)}
    drawn = draw_boxes(grey_frame(), boxes, box_scale=1.0, line_width=2)
    assert painted(drawn, GREEN)
    assert not painted(drawn, BLUE)


def test_the_frame_itself_is_not_touched():
    frame = grey_frame()
    draw_boxes(frame, {"vehicle": (5, 5, 20, 20)}, box_scale=1.2, line_width=4)
    assert (frame == GREY).all()


def test_no_boxes_no_change():
    assert (draw_boxes(grey_frame(), {}, box_scale=1.2, line_width=4) == GREY).all()


@settings(deadline=None)
@given(st.tuples(st.floats(-40, 130), st.floats(-40, 90), st.floats(0.5, 150), st.floats(0.5, 100)), st.integers(1, 9))
def test_what_is_painted_lies_around_the_scaled_box(box, line_width):
    frame = grey_frame()
    drawn = draw_boxes(frame, {"pedestrian": box}, box_scale=1.2, line_width=line_width)
    rect = to_pixels(scale_box(box, 1.2), 120, 80)
    rows, columns = np.where((drawn != frame).any(-1))
    assert len(rows), "a box must be seen"
    margin = line_width // 2
    assert rect.left - margin <= columns.min()
    assert columns.max() < rect.right + margin
    assert rect.top - margin <= rows.min()
    assert rows.max() < rect.bottom + margin
    rows_inside = slice(rect.top + line_width, max(rect.bottom - line_width, 0))
    columns_inside = slice(rect.left + line_width, max(rect.right - line_width, 0))
    assert (drawn[rows_inside, columns_inside] == GREY).all()


@pytest.mark.parametrize("role", ["pedestrian", "vehicle"])
def test_each_road_user_has_its_colour(role):
    drawn = draw_boxes(grey_frame(), {role: (20, 20, 20, 20)}, box_scale=1.2, line_width=3)
    assert bool(painted(drawn, GREEN)) == (role == "pedestrian")
    assert bool(painted(drawn, BLUE)) == (role == "vehicle")


@pytest.mark.parametrize(("direction", "towards"), [((1, 0, 0), (0, 1)), ((0, 2, 0), (-1, 0)), ((-3, -3, 0), (1, -1))])
def test_the_arrow_starts_at_the_head_and_points_as_opengl_axes_say(direction, towards):
    frame = np.full((240, 360, 3), GREY[0], np.uint8)
    drawn = draw_gaze(frame, Gaze(0, (180.0, 120.0), direction), line_width=3)
    pixels = np.array(sorted(painted(drawn, RED)))
    assert (frame == GREY).all()
    offsets = pixels + 0.5 - (120, 180)  # rows, columns
    unit = np.array(towards) / np.hypot(*towards)
    along = offsets @ unit
    assert abs(along.max() - GAZE_SHARE * 240) < 2
    assert along.min() > -2.5
    assert np.abs(offsets @ (-unit[1], unit[0])).max() <= 6.5


def test_a_gaze_along_the_optical_axis_is_a_dot_and_one_out_of_the_frame_is_cut():
    frame = np.full((240, 360, 3), GREY[0], np.uint8)
    dot = painted(draw_gaze(frame, Gaze(0, (50.0, 60.0), (0, 0, -1)), line_width=4), RED)
    assert dot
    assert all(np.hypot(row + 0.5 - 60, column + 0.5 - 50) <= 2 for row, column in dot)
    edge = painted(draw_gaze(frame, Gaze(0, (359.0, 1.0), (1, 1, 0)), line_width=4), RED)
    assert 0 < len(edge) < 40
