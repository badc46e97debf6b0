"""How the camera moves, from the file of an inertial measurement unit beside a clip:

    time_s,speed_mps,yaw_rate_dps
    0.00,8.31,0.2
    0.05,8.30,0.1

Times are those of the clip, 0 at its first frame. Whoever stands sees no other place: what belongs to the place cannot
change then.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from cityscribe.files import InputError, read_text

COLUMNS = ("time_s", "speed_mps", "yaw_rate_dps")
FASTEST_MPS = 120.0
FASTEST_DPS = 720.0


@dataclass(frozen=True, slots=True)
class CameraMotion:
    """How fast the camera moves and turns at some times, in any direction; in between it changes evenly."""

    times_s: np.ndarray
    speed_mps: np.ndarray
    yaw_dps: np.ndarray

    def between(self, start_s: float, end_s: float) -> tuple[float, float] | None:
        """Metres and degrees between two times; None where one of them lies outside of the file."""
        if start_s < self.times_s[0] or end_s > self.times_s[-1]:
            return None
        inside = self.times_s[(self.times_s > start_s) & (self.times_s < end_s)]
        times_s = np.array([start_s, *inside, end_s])
        moved, turned = (
            float(np.trapezoid(np.interp(times_s, self.times_s, rate), times_s))
            for rate in (self.speed_mps, self.yaw_dps)
        )
        return moved, turned


def read_motion(file: Path) -> CameraMotion:
    """The motion that a file says. Raises InputError with the file and the row."""
    rows = csv.DictReader(io.StringIO(read_text(file).lstrip("\ufeff")))
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise InputError(f"{file}: has no column {missing[0]}; expected {', '.join(COLUMNS)}")
    values: list[tuple[float, float, float]] = []
    for row in rows:
        place = f"{file}: row {rows.line_num}"
        time_s, speed, yaw = (_number(row.get(name), name, place) for name in COLUMNS)
        if values and time_s <= values[-1][0]:
            raise InputError(f"{place}: time_s is {time_s:g}, not behind the row before ({values[-1][0]:g})")
        if abs(speed) > FASTEST_MPS or abs(yaw) > FASTEST_DPS:
            raise InputError(f"{place}: {speed:g} m/s and {yaw:g} degrees a second are no motion of a road vehicle")
        values.append((time_s, abs(speed), abs(yaw)))
    if len(values) < 2:
        raise InputError(f"{file}: has {len(values)} rows; expected two or more")
    times_s, speed, yaw = np.array(values).T
    return CameraMotion(times_s, speed, yaw)


def standing(motion: CameraMotion | None, times_s: Sequence[float], still_m: float, still_deg: float) -> list[int]:
    """For each frame the number of its stop: frames between which the camera moves and turns too little have the same
    number. Where nothing is known of the motion, each frame has its own."""
    stops = [0] if times_s else []
    for start_s, end_s in pairwise(times_s):
        moved = None if motion is None else motion.between(start_s, end_s)
        stands = moved is not None and moved[0] <= still_m and moved[1] <= still_deg
        stops.append(stops[-1] + (not stands))
    return stops


def _number(text: str | None, name: str, place: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{place}: {name} is {text!r}, expected a number")
    return value
