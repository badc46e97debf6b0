"""The interval that an answer rests on: where in the video its words looked.

While it said the answer, the decoder attended to the tokens of frames. The interval is the stretch of frames whose
attention stands out: the largest sum of what each frame has more than the mean and one standard deviation of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Stretch:
    """Seconds of a video, and how much of the attention on its frames lies there."""

    start_s: float
    end_s: float
    share: float  # 0 to 1

    def fragment(self) -> str:
        """As an address says it: a player begins there."""
        return f"#t={self.start_s:g},{self.end_s:g}"


def interval_of(weights: Sequence[float], times_s: Sequence[float], end_s: float) -> Stretch:
    """The interval of frames at these times, by how much was attended to each; the last one is shown until `end_s`.

    Where all were attended to alike it is the whole.
    """
    values = np.asarray(weights, dtype=np.float64)
    total = float(values.sum())
    until = np.append(np.asarray(times_s, dtype=np.float64)[1:], end_s)
    excess = values - values.mean() - values.std()
    if not len(values) or total <= 0 or not (excess > 1e-12 * total).any():
        return Stretch(float(times_s[0]), float(until[-1]), 1.0)
    best, first, last, running, begun = -np.inf, 0, 0, 0.0, 0
    for number, value in enumerate(excess):  # the stretch of the largest sum (Kadane)
        if running <= 0:
            running, begun = 0.0, number
        running += float(value)
        if running > best:
            best, first, last = running, begun, number
    share = float(values[first : last + 1].sum()) / total
    return Stretch(float(times_s[first]), float(until[last]), share)


def shares_of(weights: Sequence[float], parts: int) -> tuple[float, ...]:
    """How much of the attention lies on the frames of each of at most so many equal parts, one in all."""
    values = np.asarray(weights, dtype=np.float64)
    total = float(values.sum())
    if total <= 0:
        return ()
    return tuple(float(part.sum()) / total for part in np.array_split(values, min(parts, len(values))))
