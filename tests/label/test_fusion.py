"""Boxes of several detectors become one, by the published rule, on numbers worked out by hand."""

from __future__ import annotations

import pytest

from cityscribe.label.fusion import ScoredBox, fuse


def test_two_detectors_that_agree_give_the_weighted_mean() -> None:
    one, other = ScoredBox("car", 0.9, (10, 10, 100, 50)), ScoredBox("car", 0.6, (14, 12, 100, 46))
    (fused,) = fuse([[one], [other]], [2, 1])
    a, b = 0.9 * 2, 0.6 * 1
    left, top = (10 * a + 14 * b) / (a + b), (10 * a + 12 * b) / (a + b)
    right, bottom = (110 * a + 114 * b) / (a + b), (60 * a + 58 * b) / (a + b)
    assert fused.xywh == pytest.approx((left, top, right - left, bottom - top))
    assert fused.score == pytest.approx((a + b) / 2 * min(2, 2) / 3)
    assert fused.by == (0, 1)


def test_what_one_of_three_sees_is_worth_a_third() -> None:
    (fused,) = fuse([[ScoredBox("car", 0.9, (0, 0, 10, 10))], [], []], [1, 1, 1])
    assert fused.score == pytest.approx(0.9 / 3)
    assert fused.xywh == (0, 0, 10, 10)


def test_several_boxes_of_one_detector_count_as_often_as_there_are_detectors() -> None:
    near = [ScoredBox("car", score, (0, 0, 10, 10)) for score in (0.9, 0.6, 0.3)]
    (fused,) = fuse([near, []], [1, 1])
    assert fused.score == pytest.approx(0.6 * min(2, 3) / 2)


def test_another_label_and_a_small_overlap_are_another_object() -> None:
    boxes = [ScoredBox("car", 0.9, (0, 0, 10, 10)), ScoredBox("bus", 0.8, (0, 0, 10, 10))]
    half = ScoredBox("car", 0.7, (5, 0, 10, 10))  # intersection over union 1/3
    assert [each.label for each in fuse([boxes, [half]], [1, 1])] == ["car", "bus", "car"]
    assert len(fuse([boxes, [half]], [1, 1], overlap=0.3)) == 2


def test_a_box_joins_the_fused_box_and_not_the_first_one() -> None:
    """The third box overlaps too little with the first, and enough with what the first two have become."""
    row = [ScoredBox("car", 0.9, (0, 0, 10, 10)), ScoredBox("car", 0.89, (2, 0, 10, 10))]
    third = ScoredBox("car", 0.2, (3.7, 0, 10, 10))  # 6.3 / 13.7 = 0.46 with the first, 0.57 with the mean
    assert len(fuse([row, [third]], [1, 1], overlap=0.55)) == 1
    assert len(fuse([row[:1], [third]], [1, 1], overlap=0.55)) == 2


def test_boxes_that_score_too_little_are_not_looked_at() -> None:
    boxes = [ScoredBox("car", 0.05, (0, 0, 10, 10)), ScoredBox("car", 0.0, (50, 0, 10, 10))]
    assert fuse([boxes], [1], least_score=0.1) == []
    assert len(fuse([boxes], [1])) == 1
