"""Covering regions of a frame, so that nobody can be recognised in them.

A region, a fifth wider and higher than it was found, is averaged to at most `CELLS` x `CELLS` colours and drawn with
smooth steps between them: what is left is less than the lowest detail by which people are told apart, and unlike with a
light blur nothing of it can be computed back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache

import cv2
import numpy as np

from cityscribe.files import InputError
from cityscribe.redact import REDACTORS, FindRegions, RedactOptions, Region

CELLS = 4
MARGIN = 1.2


class RedactionError(Exception):
    """A frame could not be looked through; it must not be used."""


Redact = Callable[[np.ndarray, Mapping[str, Region]], tuple[np.ndarray, Counter[str]]]
"""A frame (RGB uint8 [height, width, 3]) and the boxes of its road users -> the covered frame, and how many regions of
each kind were covered. Raises RedactionError."""


def redaction(options: RedactOptions) -> Redact:
    """What covers all kinds of the options. Raises InputError where a model cannot be had."""
    finders = finders_of(options)

    def redact(frame: np.ndarray, boxes: Mapping[str, Region]) -> tuple[np.ndarray, Counter[str]]:
        found = find(finders, frame, boxes)
        return cover(frame, [region for regions in found.values() for region in regions]), counted(found)

    return redact


def find(finders: Mapping[str, FindRegions], frame: np.ndarray, boxes: Mapping[str, Region]) -> dict[str, list[Region]]:
    """The regions of each kind in a frame, all found before any is covered. Raises RedactionError."""
    found = {}
    for kind, finder in finders.items():
        try:
            found[kind] = finder(frame, boxes)
        except InputError:
            raise
        except Exception as error:  # of a detector of somebody: a frame that it cannot take is not let through
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise RedactionError(f"{kind} cannot be looked for: {reason}") from error
    return found


def counted(found: Mapping[str, list[Region]]) -> Counter[str]:
    return Counter({kind: len(regions) for kind, regions in found.items()})


@lru_cache(maxsize=4)
def _finder(kind: str, options: RedactOptions) -> FindRegions:
    """A finder, loaded once a process."""
    return REDACTORS[kind].load(options)


def finders_of(options: RedactOptions) -> dict[str, FindRegions]:
    """The finders of all kinds of the options. Raises InputError where a model cannot be had."""
    return {kind: _finder(kind, options) for kind in options.kinds}


def cover(frame: np.ndarray, regions: list[Region]) -> np.ndarray:
    """A copy of a frame with its regions covered; the frame itself where there is none."""
    if not regions:
        return frame
    height, width = frame.shape[:2]
    covered = frame.copy()
    for x, y, w, h in regions:
        left, right = _within(x + w / 2, w * MARGIN, width)
        top, bottom = _within(y + h / 2, h * MARGIN, height)
        if right <= left or bottom <= top:
            continue
        part = covered[top:bottom, left:right]
        cells = min(CELLS, right - left), min(CELLS, bottom - top)
        few = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
        covered[top:bottom, left:right] = cv2.resize(few, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    return covered


def _within(centre: float, length: float, size: int) -> tuple[int, int]:
    """Pixels of a side of a region, rounded outwards and clipped to the frame."""
    low, high = centre - length / 2, centre + length / 2
    return max(int(np.floor(low)), 0), min(int(np.ceil(high)), size)
