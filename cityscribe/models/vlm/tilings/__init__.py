"""Tilings: an image size to views. A tower sees every view as one picture of its own size."""

from __future__ import annotations

from dataclasses import dataclass

FULL = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class TilingView:
    """A part of an image and where it lies in what a tower sees; around it there is the mean colour."""

    crop: tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels of the image
    place: tuple[float, float, float, float] = FULL  # x1, y1, x2, y2 as shares of the view
    role: str = "whole"
    before: str = ""  # text that stands before its tokens, which the decoder reads as any other
    after: str = ""
