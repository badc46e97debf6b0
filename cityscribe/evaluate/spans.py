"""Spans of time against spans of time, and boxes against boxes: intersection over union (IoU).

    score_spans([(2.0, 5.0)], [(3.0, 6.0)])     mean IoU and recall at thresholds, as in temporal grounding
    box_iou((0, 0, 10, 10), (5, 0, 10, 10))     1/3

An answer that is missing has an IoU of 0 and stays in the denominator. Of a span with its ends exchanged, or a number
that is none, nothing is repaired: its IoU is 0, and it is counted (`malformed`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cityscribe.evaluate import resampling
from cityscribe.evaluate.resampling import Interval

RECALL_AT = (0.3, 0.5, 0.7)

TimeSpan = tuple[float, float]
"""Start and end in seconds."""

XYWHBox = tuple[float, float, float, float]
"""Left, top, width and height in pixels, or any one unit."""


@dataclass(frozen=True, slots=True)
class SpanScores:
    """Of at least one question. Shares from 0 to 1."""

    questions: int
    mean_iou: float
    interval: Interval | None  # of the mean; None where there are fewer than two groups
    recall: dict[float, float]  # threshold -> the share of questions with an IoU of at least that
    missing: int
    malformed: int
    each: tuple[float, ...]


def span_iou(first: TimeSpan, second: TimeSpan) -> float:
    """The time that both have by the time that either has. Two equal moments have 1, a moment in a span 0."""
    if not (_is_span(first) and _is_span(second)):
        return 0.0
    both = min(first[1], second[1]) - max(first[0], second[0])
    either = (first[1] - first[0]) + (second[1] - second[0]) - max(both, 0.0)
    if either == 0:
        return float(first == second)
    return max(both, 0.0) / either


def score_spans(
    references: Sequence[TimeSpan],
    answers: Sequence[TimeSpan | None],
    *,
    groups: Sequence[str] | None = None,
    recall_at: Sequence[float] = RECALL_AT,
    seed: int = 0,
) -> SpanScores:
    """The mean IoU of answers and its interval, and recall at thresholds (one answer a question: R1@m).

    `groups` names the clip of each question; by default each is of its own. Raises ValueError where there is no
    question, the numbers of references and answers differ, or a reference is no span.
    """
    if not references:
        raise ValueError("no spans to score")
    for number, reference in enumerate(references):
        if not _is_span(reference):
            raise ValueError(f"reference {number} is {reference}, expected its start before its end, in seconds")
    each = tuple(
        0.0 if answer is None else span_iou(reference, answer)
        for reference, answer in zip(references, answers, strict=True)
    )
    names = [str(number) for number in range(len(each))] if groups is None else groups
    table = resampling.stratum(names, [""] * len(each), each)
    return SpanScores(
        questions=len(each),
        mean_iou=math.fsum(each) / len(each),
        interval=resampling.interval([table], seed),
        recall={at: sum(iou >= at for iou in each) / len(each) for at in recall_at},
        missing=sum(answer is None for answer in answers),
        malformed=sum(answer is not None and not _is_span(answer) for answer in answers),
        each=each,
    )


def box_iou(first: XYWHBox, second: XYWHBox) -> float:
    """The area that both have by the area that either has; 0 of a box without an area, or with a number that is
    none."""
    if not all(math.isfinite(value) for value in (*first, *second)) or min(*first[2:], *second[2:]) <= 0:
        return 0.0
    sides = [min(first[n] + first[n + 2], second[n] + second[n + 2]) - max(first[n], second[n]) for n in (0, 1)]
    both = max(sides[0], 0.0) * max(sides[1], 0.0)
    return both / (first[2] * first[3] + second[2] * second[3] - both)


def _is_span(span: TimeSpan) -> bool:
    return all(math.isfinite(value) for value in span) and span[0] <= span[1]
