"""The head of the annotated pedestrian: the upper part of the box, without any model.

It covers heads that are too small, turned away or too dark for a detector of faces; people without a box stay as they
are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cityscribe.redact import FindRegions, RedactOptions, Redactor, Region

SHARE = 1 / 5
"""Of the box that the head takes at most: of a person who runs or bends it takes more than of one who stands."""


def load(options: RedactOptions) -> FindRegions:
    return find_heads


def find_heads(frame: np.ndarray, boxes: Mapping[str, Region]) -> list[Region]:
    """The upper part of the pedestrian's box; nothing where there is none."""
    if "pedestrian" not in boxes:
        return []
    x, y, w, h = boxes["pedestrian"]
    return [(x, y, w, SHARE * h)]


REDACTOR = Redactor(load)
