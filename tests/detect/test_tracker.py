"""Tracks of known objects: noise, gaps, crossings and false alarms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.detect.detector import Detection
from cityscribe.detect.tracker import overlaps, track

XYWH = tuple[float, float, float, float]


def moving(start: float, speed: float, frame: int, y: float = 100.0) -> XYWH:
    return (start + speed * frame, y, 40.0, 80.0)


def seen(xywh: XYWH, score: float = 0.9, rng: np.random.Generator | None = None) -> Detection:
    noise = rng.normal(0, 1.0, 4) if rng is not None else np.zeros(4)
    x, y, w, h = (float(value) for value in np.asarray(xywh) + noise)
    return Detection("pedestrian", score, (x, y, w, h))


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_two_objects_that_pass_each_other_keep_their_tracks(step: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = [
        (n, [seen(moving(0, 4, n), rng=rng), seen(moving(400, -4, n, y=150), rng=rng)]) for n in range(0, 99, step)
    ]
    tracks = track(frames, high=0.5, step=step, patience=15)
    assert [len(each.boxes) for each in tracks] == [len(frames)] * 2
    for each, speed, start, y in ((tracks[0], 4, 0, 100), (tracks[1], -4, 400, 150)):
        for frame, box in each.boxes.items():
            assert box == pytest.approx(moving(start, speed, frame, y), abs=6)


def test_an_object_that_is_hidden_for_a_while_is_the_same_one_afterwards() -> None:
    frames = [(n, [seen(moving(0, 3, n))] if not 20 <= n < 30 else []) for n in range(60)]
    (only,) = track(frames, high=0.5, step=1, patience=15)
    assert set(only.boxes) == {*range(20), *range(30, 60)}
    assert [len(each.boxes) for each in track(frames, high=0.5, step=1, patience=5)] == [30, 20]


def test_low_scores_go_on_with_a_track_but_begin_none() -> None:
    frames = [(n, [seen(moving(0, 2, n), 0.9 if n < 5 else 0.2), seen((300, 20, 30, 30), 0.2)]) for n in range(20)]
    (only,) = track(frames, high=0.5, step=1, patience=5)
    assert set(only.boxes) == set(range(20))


def test_a_false_alarm_of_one_frame_is_no_track() -> None:
    rng = np.random.default_rng(0)
    frames = [
        (n, [seen(moving(0, 2, n)), *([seen((float(rng.uniform(300, 900)), 10, 20, 20))] if n % 7 == 0 else [])])
        for n in range(40)
    ]
    assert [len(each.boxes) for each in track(frames, high=0.5, step=1, patience=3)] == [40]


def test_nothing_seen_gives_no_track() -> None:
    assert track([], high=0.5, step=1, patience=3) == []
    assert track([(0, []), (1, [])], high=0.5, step=1, patience=3) == []


boxes = st.tuples(*[st.floats(0, 100) for _ in range(2)], *[st.floats(1, 100) for _ in range(2)])


@given(st.lists(boxes, max_size=5), st.lists(boxes, max_size=5))
def test_overlap_is_symmetric_in_0_to_1_and_1_with_itself(first: list[XYWH], second: list[XYWH]) -> None:
    found = overlaps(first, second)
    assert found.shape == (len(first), len(second))
    assert np.allclose(found, overlaps(second, first).T)
    assert ((found >= 0) & (found <= 1 + 1e-9)).all()
    assert np.allclose(np.diag(overlaps(first, first)), 1)


@given(st.randoms(use_true_random=False))
def test_a_detection_is_in_one_track_at_most_and_the_order_of_equals_does_not_matter(random: object) -> None:
    rng = np.random.default_rng(random.randrange(2**32))  # type: ignore[attr-defined]
    frames = [
        (n, [seen(tuple(rng.uniform(5, 200, 4)), float(rng.uniform(0, 1))) for _ in range(rng.integers(0, 5))])  # type: ignore[arg-type]
        for n in range(12)
    ]
    tracks = track(frames, high=0.5, step=1, patience=4)
    used = [(frame, box) for each in tracks for frame, box in each.boxes.items()]
    assert len(used) == len(set(used))
    assert set(used) <= {(frame, each.xywh) for frame, found in frames for each in found}
