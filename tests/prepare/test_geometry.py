from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityscribe.prepare.geometry import (
    PixelRect,
    enclosing_box,
    in_frame,
    is_box,
    local_view,
    scale_box,
    to_pixels,
)

LONE = 1 / 6
"""The least view around one box, of the frame's shorter side."""

coordinate = st.floats(-300, 2200, allow_nan=False).map(lambda value: round(value, 2))
length = st.floats(0.5, 900).map(lambda value: round(value, 2))
boxes = st.tuples(coordinate, coordinate, length, length)
frames = st.tuples(st.integers(64, 1920), st.integers(64, 1080))


def exact_local_view(boxes, width, height, c, c_star):
    """Eq. 3 to 6 in rational numbers, written down a second time from the paper."""

    def scale(box, factor):
        x, y, w, h = box
        return x + w / 2 - factor * w / 2, y + h / 2 - factor * h / 2, factor * w, factor * h

    scaled = [scale([Fraction(value) for value in box], c) for box in boxes]
    x_min, y_min = min(b[0] for b in scaled), min(b[1] for b in scaled)
    x_max, y_max = max(b[0] + b[2] for b in scaled), max(b[1] + b[3] for b in scaled)
    x, y, w, h = scale((x_min, y_min, x_max - x_min, y_max - y_min), c_star)
    return x, y, x + w, y + h


def test_worked_example_by_hand():
    # Two boxes in a 480 x 270 frame, worked out on paper from Eq. 3, 4 and 5.
    pedestrian, vehicle = (372.0, 10.0, 48.0, 53.0), (24.0, 31.0, 115.0, 87.0)
    assert scale_box(pedestrian, 1.2) == pytest.approx((367.2, 4.7, 57.6, 63.6))
    assert scale_box(vehicle, 1.2) == pytest.approx((12.5, 22.3, 138.0, 104.4))
    union = enclosing_box([scale_box(pedestrian, 1.2), scale_box(vehicle, 1.2)])
    assert union == pytest.approx((12.5, 4.7, 412.3, 122.0))
    assert scale_box(union, 1.5) == pytest.approx((-90.575, -25.8, 618.45, 183.0))
    view = local_view([pedestrian, vehicle], 480, 270, box_scale=1.2, crop_scale=1.5, lone_view=LONE)
    assert view == PixelRect(0, 0, 480, 157)


def test_rounding_happens_once():
    # Rounding the scaled boxes first would give columns 26 to 70: 33 to 63, scaled about 48, is 25.5 to 70.5.
    pedestrian, vehicle = (33.4, 40.0, 1.0, 10.0), (62.0, 40.0, 1.0, 10.0)
    view = local_view([pedestrian, vehicle], 200, 100, box_scale=1.2, crop_scale=1.5, lone_view=LONE)
    assert (view.left, view.right) == (26, 71)  # 33.3 to 63.1, scaled about 48.2, is 25.85 to 70.55


@settings(deadline=None)
@given(boxes, boxes, frames, st.sampled_from(["1", "1.2", "2"]), st.sampled_from(["1", "1.5", "3"]))
def test_local_view_equals_the_formulas_in_rational_numbers(first, second, frame, c, c_star):
    width, height = frame
    view = local_view([first, second], width, height, box_scale=float(c), crop_scale=float(c_star), lone_view=LONE)
    exact = exact_local_view([first, second], width, height, Fraction(c), Fraction(c_star))
    for pixel, edge, size in zip(view, exact, (width, height, width, height), strict=True):
        clipped = min(max(edge, 0), size)
        # Half a pixel for the rounding; a view of nothing is one pixel.
        assert abs(pixel - clipped) <= Fraction(1, 2) + Fraction(1, 10**6) or view_is_one_pixel(view)


def view_is_one_pixel(view):
    return view.right - view.left == 1 or view.bottom - view.top == 1


@settings(deadline=None)
@given(st.lists(boxes, max_size=2), frames, st.floats(0.1, 4), st.floats(0.1, 4))
def test_local_view_lies_in_the_frame_and_is_never_empty(found, frame, c, c_star):
    view = local_view(found, *frame, box_scale=c, crop_scale=c_star, lone_view=LONE)
    assert 0 <= view.left < view.right <= frame[0]
    assert 0 <= view.top < view.bottom <= frame[1]


@settings(deadline=None)
@given(st.lists(boxes, min_size=1, max_size=2), frames, st.floats(1, 2), st.floats(1, 3))
def test_local_view_contains_what_is_drawn(found, frame, c, c_star):
    view = local_view(found, *frame, box_scale=c, crop_scale=c_star, lone_view=LONE)
    for box in found:
        if in_frame(box, *frame):
            drawn = to_pixels(scale_box(box, c), *frame)
            assert view.left <= drawn.left and view.top <= drawn.top  # noqa: PT018
            assert view.right >= drawn.right and view.bottom >= drawn.bottom  # noqa: PT018


@settings(deadline=None)
@given(boxes)
def test_scale_one_changes_nothing(box):
    assert scale_box(box, 1.0) == pytest.approx(box, abs=1e-9)
    assert enclosing_box([box]) == pytest.approx(box, abs=1e-9)


@settings(deadline=None)
@given(boxes, st.floats(0.1, 5))
def test_scaling_keeps_the_centre(box, factor):
    x, y, w, h = scale_box(box, factor)
    assert (x + w / 2, y + h / 2) == pytest.approx((box[0] + box[2] / 2, box[1] + box[3] / 2), abs=1e-6)
    assert (w, h) == pytest.approx((box[2] * factor, box[3] * factor))


@settings(deadline=None)
@given(boxes, boxes, frames)
def test_the_order_of_the_boxes_does_not_matter(first, second, frame):
    one = local_view([first, second], *frame, box_scale=1.2, crop_scale=1.5, lone_view=LONE)
    assert one == local_view([second, first], *frame, box_scale=1.2, crop_scale=1.5, lone_view=LONE)


def test_no_box_gives_the_whole_frame():
    assert local_view([], 640, 360, box_scale=1.2, crop_scale=1.5, lone_view=LONE) == PixelRect(0, 0, 640, 360)


@pytest.mark.parametrize("centre", [(320, 180), (2, 2), (639, 359), (0, 300)])
def test_one_far_pedestrian_still_gets_a_view_of_its_surroundings(centre):
    box = (centre[0] - 1.0, centre[1] - 2.0, 2.0, 4.0)
    view = local_view([box], 640, 360, box_scale=1.2, crop_scale=1.5, lone_view=LONE)
    least = 360 * LONE
    assert view.right - view.left == pytest.approx(least, abs=1)
    assert view.bottom - view.top == pytest.approx(least, abs=1)
    assert view.left <= min(centre[0], 639) < view.right
    assert view.top <= min(centre[1], 359) < view.bottom


def test_of_no_least_size_one_far_pedestrian_follows_the_formulas():
    # 10 x 20 scaled by 1.2 and by 1.5 about (105, 110).
    view = local_view([(100.0, 100.0, 10.0, 20.0)], 1280, 720, box_scale=1.2, crop_scale=1.5, lone_view=0.0)
    assert view == PixelRect(96, 92, 114, 128)


def test_one_large_box_follows_the_formulas():
    # 100 x 200 scaled by 1.2 and by 1.5 about (350, 300).
    view = local_view([(300.0, 200.0, 100.0, 200.0)], 1280, 720, box_scale=1.2, crop_scale=1.5, lone_view=LONE)
    assert view == PixelRect(260, 120, 440, 480)


@pytest.mark.parametrize(
    "xywh",
    [(0, 0, 0, 5), (0, 0, 5, 0), (1, 1, -3, 4), (float("nan"), 0, 5, 5), (0, 0, float("inf"), 5)],
)
def test_degenerate_boxes_are_none(xywh):
    assert not is_box(xywh)


def test_boxes_beside_the_frame_are_not_in_it():
    assert in_frame((-9.5, 10, 10, 10), 100, 50)
    assert not in_frame((-10, 10, 10, 10), 100, 50)
    assert not in_frame((100, 10, 10, 10), 100, 50)
    assert not in_frame((10, 50, 10, 10), 100, 50)
