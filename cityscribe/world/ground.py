"""What lies flat on the ground: the road, its markings, sidewalks, kerbs, bays."""

from __future__ import annotations

import functools
import math

import numpy as np

from cityscribe.world.look import RGB
from cityscribe.world.scene import LANE_WIDTH, SIDEWALK_WIDTH, Street

PAVING: dict[str, RGB] = {
    "land": (112, 138, 82),
    "plaza": (168, 164, 156),
    "sidewalk": (176, 170, 162),
    "kerb": (206, 204, 198),
    "road": (104, 105, 108),
    "paint": (236, 236, 230),
}

_STEP = 4.0  # metres between the corners of what follows a bend


@functools.lru_cache(maxsize=32)
def paving(street: Street) -> tuple[tuple[np.ndarray, str], ...]:
    """Flat faces of the ground in the order in which they are laid, each its outline [n, 3] in metres and its kind."""
    low, high = -30.0, 130.0
    half = street.half_width
    quads: list[tuple[np.ndarray, str]] = []

    def quad(x0: float, x1: float, y0: float, y1: float, kind: str) -> None:
        steps = 1 if street.bend == 0.0 else max(1, math.ceil((y1 - y0) / _STEP))
        along = np.linspace(y0, y1, steps + 1)
        edge = [(x0, y) for y in along] + [(x1, y) for y in along[::-1]]
        quads.append((np.array([[*street.place(x, y)[:2], 0.0] for x, y in edge]), kind))

    if street.road == "parking lot":
        quad(-half - 12, half + 12, low, high, "road")
        for side in (-1, 1):
            for y in np.arange(-18.0, 60.0, 2.8):
                quad(side * (half + 0.6), side * (half + 5.4), y, y + 0.12, "paint")
            quad(side * (half + 5.4), side * (half + 5.52), -18.0, 59.0, "paint")
        return tuple(quads)
    if street.sidewalks:
        for side in (-1, 1):
            quad(side * half, side * (half + SIDEWALK_WIDTH), low, high, "sidewalk")
            quad(side * half, side * (half + 0.16), low, high, "kerb")
    quad(-half, half, low, high, "road")
    gap: tuple[float, float] | None = None
    if street.junction_y is not None:
        gap = (street.junction_y - 3.6, street.junction_y + 3.6)
        quad(-60, 60, *gap, "road")
    blocks = [(low, high)] if gap is None else [(low, gap[0]), (gap[1], high)]
    crosswalk = None if street.crosswalk_y is None else (street.crosswalk_y - 2.0, street.crosswalk_y + 2.0)

    def line(x: float, width: float, dash: float) -> None:
        for y0, y1 in blocks:
            step = dash * 2.2 if dash else y1 - y0
            y = y0
            while y < y1:
                end = min(y + (dash or y1 - y0), y1)
                if crosswalk is None or end < crosswalk[0] - 0.5 or y > crosswalk[1] + 0.5:
                    quad(x - width / 2, x + width / 2, y, end, "paint")
                elif not dash:
                    quad(x - width / 2, x + width / 2, y, crosswalk[0] - 0.5, "paint")
                    quad(x - width / 2, x + width / 2, crosswalk[1] + 0.5, end, "paint")
                y += step

    if street.road == "urban road" or street.lanes > 1:
        for side in (-1, 1):
            line(side * (half - 0.22), 0.12, 0.0)
    for lane in range(1, street.lanes):
        middle = lane * 2 == street.lanes
        line(
            -half + lane * LANE_WIDTH,
            0.16 if middle and street.lanes > 2 else 0.12,
            0.0 if middle and street.lanes > 2 else 2.5,
        )
    if crosswalk is not None:
        for x in np.arange(-half + 0.35, half - 0.3, 0.92):
            quad(x, x + 0.46, *crosswalk, "paint")
        quad(-half + 0.2, 0.0 if street.lanes > 1 else half - 0.2, crosswalk[0] - 1.6, crosswalk[0] - 1.25, "paint")
    return tuple(quads)
