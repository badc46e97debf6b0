"""Weighted box fusion (Solovyev, Wang and Gabruseva 2021): the boxes of several detectors become one for each object.

    fused = fuse([boxes_of_one, boxes_of_other], weights=[2, 1])

Of each label, boxes go by score times weight of their detector, the highest first. A box joins the cluster whose fused
box overlaps most with it, where that is more than `overlap`, or else opens one. The corners of a fused box are means,
weighted by score times weight. Its score is the mean of these, times min(detectors, boxes in the cluster) / (sum of
weights): what few of the detectors see is worth less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cityscribe.evaluate.spans import XYWHBox, box_iou


@dataclass(frozen=True, slots=True)
class ScoredBox:
    """A box that one detector sees: `xywh` in pixels, score in [0, 1]."""

    label: str
    score: float
    xywh: XYWHBox


@dataclass(frozen=True, slots=True)
class FusedBox:
    """A box that several detectors see; `by` are their places in the list of detectors."""

    label: str
    score: float
    xywh: XYWHBox
    by: tuple[int, ...]


@dataclass(slots=True)
class _Cluster:
    label: str
    weighted: list[float] = field(default_factory=list)  # score times weight
    boxes: list[XYWHBox] = field(default_factory=list)
    by: list[int] = field(default_factory=list)

    def take(self, weighted: float, box: XYWHBox, detector: int) -> None:
        self.weighted.append(weighted)
        self.boxes.append(box)
        self.by.append(detector)

    @property
    def fused(self) -> XYWHBox:
        """The mean of the boxes, and so of their corners."""
        x, y, width, height = np.average(self.boxes, axis=0, weights=self.weighted).tolist()
        return x, y, width, height


def fuse(
    found: Sequence[Sequence[ScoredBox]], weights: Sequence[float], *, overlap: float = 0.55, least_score: float = 0.0
) -> list[FusedBox]:
    """The fused boxes of one frame, the surest first. `found` are the boxes of each detector, `weights` theirs."""
    boxes = [
        (box.score * weight, number, box)
        for number, (seen, weight) in enumerate(zip(found, weights, strict=True))
        for box in seen
        if box.score > 0 and box.score >= least_score
    ]
    boxes.sort(key=lambda each: (-each[0], each[1], each[2].xywh))
    clusters: list[_Cluster] = []
    for weighted, number, box in boxes:
        alike = [(box_iou(each.fused, box.xywh), -n) for n, each in enumerate(clusters) if each.label == box.label]
        best, place = max(alike, default=(0.0, 0))
        if best <= overlap:
            clusters.append(_Cluster(box.label))
            place = 1 - len(clusters)
        clusters[-place].take(weighted, box.xywh, number)
    fused = [_box(each, weights) for each in clusters]
    return sorted(fused, key=lambda each: (-each.score, each.label, each.xywh))


def _box(cluster: _Cluster, weights: Sequence[float]) -> FusedBox:
    mean = float(np.mean(cluster.weighted))
    score = mean * min(len(weights), len(cluster.by)) / sum(weights)
    return FusedBox(cluster.label, score, cluster.fused, tuple(sorted(set(cluster.by))))
