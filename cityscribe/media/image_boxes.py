"""Boxes that an image brings along: in the comment of its file, and on the image once it is opened.

    boxes: 0.1000 0.2500 0.3000 0.7500; 0.5000 0.1000 0.9000 0.6000

Left, top, right and bottom edge of each, in shares of width and height. Whatever makes another image of an image (a
crop, another size) leaves them behind, since they would no longer hold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from PIL import Image

ImageBoxes = tuple[tuple[float, float, float, float], ...]
LINE = re.compile(r"^boxes: (?P<boxes>[\d. ;]*)$", re.MULTILINE)
ATTRIBUTE = "cityscribe_boxes"


def boxes_comment(boxes: Sequence[Sequence[float]]) -> str:
    """The line of a comment that says boxes; what lies outside the image is cut off."""
    inside = ([min(max(edge, 0.0), 1.0) for edge in box] for box in boxes)
    return "boxes: " + "; ".join(" ".join(f"{edge:.4f}" for edge in box) for box in inside)


def boxes_in(comment: object) -> ImageBoxes:
    """The boxes that the comment of a file says; none where it says none, or something else."""
    text = comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment or "")
    found = LINE.search(text)
    if found is None:
        return ()
    try:
        boxes = [tuple(float(edge) for edge in box.split()) for box in found["boxes"].split(";") if box.strip()]
    except ValueError:
        return ()
    whole = all(len(box) == 4 and 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1 for box in boxes)
    return tuple(boxes) if whole else ()  # type: ignore[arg-type]


def with_boxes(image: Image.Image, boxes: Sequence[Sequence[float]]) -> Image.Image:
    """The image, with boxes on it."""
    if boxes:
        setattr(image, ATTRIBUTE, tuple(tuple(box) for box in boxes))
    return image


def boxes_of(image: Any) -> ImageBoxes:
    """The boxes on an opened image."""
    found: ImageBoxes = getattr(image, ATTRIBUTE, ())
    return found
