"""Covering what `prepare.redact` names in the pictures of a preparation, before anything is drawn on them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from cityscribe.prepare.geometry import XYWH
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.redact.cover import redaction
from cityscribe.redact.note import note_of


def covered(frame: np.ndarray, boxes: Mapping[str, XYWH], settings: PrepareSettings) -> tuple[np.ndarray, str]:
    """A frame (RGB uint8 [height, width, 3]) with that covered, and what its file says of it; the frame itself and
    nothing where the settings name nothing. Raises RedactionError where it cannot be looked for."""
    if not settings.redact:
        return frame, ""
    found, counts = redaction(settings.redaction)(frame, boxes)
    return found, note_of(counts)


def covered_picture(picture: Image.Image, settings: PrepareSettings) -> tuple[Image.Image, str]:
    """The same of a picture about which nothing is annotated."""
    frame, note = covered(np.asarray(picture.convert("RGB")), {}, settings)
    return Image.fromarray(frame), note


def comment(note: str) -> dict[str, bytes]:
    """How Pillow is told what a file says of itself; nothing leaves it as it would be."""
    return {"comment": note.encode()} if note else {}
