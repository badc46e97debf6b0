"""Joining the detections of frames into tracks: the association of BYTE (Zhang et al. 2022, Algorithm 1).

Each track predicts where its object is now (a Kalman filter of constant velocity, from OpenCV); detections that score
high are assigned to tracks first, by the overlap of their boxes (the Hungarian method, from SciPy), then those that
score low to the tracks that are left: an object half hidden scores low, but stands where its track expects it. A track
begins with a high score only, and ends when it is not seen for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from cityscribe.detect.detector import Detection

LEAST_OVERLAP = 0.2
LEAST_OVERLAP_LOW = 0.5
"""Intersection over union of a track's prediction and a detection, for high and for low scores."""

POSITION_NOISE, VELOCITY_NOISE = 1 / 20, 1 / 160
"""Standard deviations of a step, as shares of the object's height (Wojke et al. 2017)."""

XYWH = tuple[float, float, float, float]


@dataclass(slots=True)
class Tracked:
    """One object: its boxes by frame, and the filter that predicts the next one."""

    boxes: dict[int, XYWH]
    filter: cv2.KalmanFilter = field(repr=False)

    @property
    def last_frame(self) -> int:
        return next(reversed(self.boxes))

    @property
    def predicted(self) -> XYWH:
        x, y, w, h = (float(value) for value in self.filter.statePre[:4, 0])
        return (x - w / 2, y - h / 2, w, h)


def track(frames: Iterable[tuple[int, Sequence[Detection]]], *, high: float, step: int, patience: int) -> list[Tracked]:
    """The tracks of one road user's detections, given by frame in order of frames, those with most boxes first.

    Scores from `high` on may begin a track. `step` frames lie between two that were looked at; a track that is not seen
    for more than `patience` frames is over. A track of one box is no track: it is left out.
    """
    live: list[Tracked] = []
    over: list[Tracked] = []
    for frame, detections in frames:
        over += [each for each in live if frame - each.last_frame > patience]
        live = [each for each in live if frame - each.last_frame <= patience]
        for each in live:
            _predict(each, step)
        sure = [each for each in detections if each.score >= high]
        unsure = [each for each in detections if each.score < high]
        left, new = _assign(live, sure, LEAST_OVERLAP, frame)
        # Only those seen a moment ago: where one was lost before, a low score in its place is rather noise.
        seen = [each for each in left if frame - each.last_frame <= step]
        _assign(seen, unsure, LEAST_OVERLAP_LOW, frame)
        live += [_begin(detection, frame) for detection in new]
    tracks = [each for each in [*over, *live] if len(each.boxes) > 1]
    return sorted(tracks, key=lambda each: (-len(each.boxes), min(each.boxes), next(iter(each.boxes.values()))))


def overlaps(first: Sequence[XYWH], second: Sequence[XYWH]) -> np.ndarray:
    """Intersection over union of each pair of boxes: [len(first), len(second)]."""
    a, b = (np.asarray(boxes, float).reshape(-1, 4) for boxes in (first, second))
    start = np.maximum(a[:, None, :2], b[None, :, :2])
    end = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    both = np.clip(end - start, 0, None).prod(axis=2)
    areas = a[:, 2:].prod(axis=1)[:, None] + b[:, 2:].prod(axis=1)[None]
    found: np.ndarray = both / np.maximum(areas - both, 1e-9)
    return found


def _assign(
    tracks: Sequence[Tracked], detections: Sequence[Detection], least: float, frame: int
) -> tuple[list[Tracked], list[Detection]]:
    """Give tracks the detections that overlap most with them in sum; returns the tracks and the detections left."""
    shared = overlaps([each.predicted for each in tracks], [each.xywh for each in detections])
    taken: dict[int, int] = {}
    for row, column in zip(*linear_sum_assignment(-shared), strict=True):
        if shared[row, column] >= least:
            taken[int(row)] = int(column)
            _see(tracks[row], detections[column], frame)
    given = set(taken.values())
    return (
        [each for place, each in enumerate(tracks) if place not in taken],
        [each for place, each in enumerate(detections) if place not in given],
    )


def _begin(detection: Detection, frame: int) -> Tracked:
    kalman = cv2.KalmanFilter(8, 4, 0, cv2.CV_64F)  # centre, width, height and their velocities a frame
    kalman.measurementMatrix = np.eye(4, 8)
    height = detection.xywh[3]
    spread = [2 * POSITION_NOISE * height] * 4 + [10 * VELOCITY_NOISE * height] * 4
    kalman.errorCovPost = np.diag(np.square(spread))
    kalman.statePost = np.concatenate([_measured(detection.xywh), np.zeros((4, 1))])
    return Tracked({frame: detection.xywh}, kalman)


def _predict(tracked: Tracked, step: int) -> None:
    kalman = tracked.filter
    transition = np.eye(8)
    transition[:4, 4:] = step * np.eye(4)
    kalman.transitionMatrix = transition
    height = max(float(kalman.statePost[3, 0]), 1.0)
    spread = [POSITION_NOISE * height * step] * 4 + [VELOCITY_NOISE * height * step] * 4
    kalman.processNoiseCov = np.diag(np.square(spread))
    kalman.predict()


def _see(tracked: Tracked, detection: Detection, frame: int) -> None:
    kalman = tracked.filter
    height = max(detection.xywh[3], 1.0)
    kalman.measurementNoiseCov = np.eye(4) * (POSITION_NOISE * height) ** 2
    kalman.correct(_measured(detection.xywh))
    tracked.boxes[frame] = detection.xywh


def _measured(xywh: XYWH) -> np.ndarray:
    x, y, w, h = xywh
    return np.array([[x + w / 2], [y + h / 2], [w], [h]])
