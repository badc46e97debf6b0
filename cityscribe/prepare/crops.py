"""What part of a frame each image of a phase shows: the members of `registries.IMAGES`.

A member takes the boxes by role (`xywh` in pixels of the frame), the frame's width and height, and the settings.
"""

from __future__ import annotations

from collections.abc import Mapping

from cityscribe.prepare.geometry import XYWH, PixelRect, local_view
from cityscribe.prepare.settings import PrepareSettings

Boxes = Mapping[str, XYWH]


def whole(boxes: Boxes, width: int, height: int, settings: PrepareSettings) -> PixelRect:
    return PixelRect(0, 0, width, height)


def around_all(boxes: Boxes, width: int, height: int, settings: PrepareSettings) -> PixelRect:
    """Eq. 3 to 6 of CityLLaVA."""
    return local_view(
        list(boxes.values()),
        width,
        height,
        box_scale=settings.box_scale,
        crop_scale=settings.crop_scale,
        lone_view=settings.lone_view,
    )


def around_pedestrian(boxes: Boxes, width: int, height: int, settings: PrepareSettings) -> PixelRect:
    """One road user alone, so that a small one is seen as large as a near one; all, where it has no box."""
    return around_all(_alone("pedestrian", boxes), width, height, settings)


def around_vehicle(boxes: Boxes, width: int, height: int, settings: PrepareSettings) -> PixelRect:
    """As `around_pedestrian`."""
    return around_all(_alone("vehicle", boxes), width, height, settings)


def _alone(role: str, boxes: Boxes) -> Boxes:
    return {role: boxes[role]} if role in boxes else boxes
