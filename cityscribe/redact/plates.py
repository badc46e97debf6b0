"""Number plates, by any object detector of transformers that has a class for them (`prepare.redact_detector`).

Detectors of Open Images name the class `Vehicle registration plate`; those that people tune on plates `license plate`,
`licence_plate`, `number plate` or `plate`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from cityscribe.files import InputError
from cityscribe.redact import FindRegions, RedactOptions, Redactor

if TYPE_CHECKING:
    from cityscribe.models.object_detector import ObjectDetector

PLATE = re.compile(r"((licen[cs]e|number|registration|car|vehicle)[ _-]*)*plates?", re.IGNORECASE)


def load(options: RedactOptions) -> FindRegions:
    """The finder of plates. Raises InputError where no detector is named, or it knows no plates."""
    if missing := lacking(options):
        raise InputError(missing)
    detector, wanted = _loaded(str(options.detector))
    from cityscribe.models.object_detector import found_objects

    return lambda frame, boxes: [
        xywh
        for label, _, xywh in found_objects(detector.model, detector.processor, [frame], options.threshold)[0]
        if label in wanted
    ]


@lru_cache(maxsize=1)
def _loaded(base: str) -> tuple[ObjectDetector, frozenset[int]]:
    """The detector and the numbers of its classes that are plates, once a process."""
    from cityscribe.models.object_detector import load_object_detector

    detector = load_object_detector(base)
    wanted = frozenset(number for number, label in detector.labels.items() if PLATE.fullmatch(label.strip()))
    if not wanted:
        known = ", ".join(detector.labels.values())[:200]
        raise InputError(f"{base}: none of its classes is a number plate; they are {known}")
    return detector, wanted


def lacking(options: RedactOptions) -> str:
    if options.detector:
        return ""
    return "plates: needs a detector that knows number plates: its folder or hub id as prepare.redact_detector"


def model(options: RedactOptions) -> str:
    return options.detector or ""


REDACTOR = Redactor(load, model, lacking)
