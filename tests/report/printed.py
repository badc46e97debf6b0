"""What stands on the pages of a PDF, and where: boxes of characters and pictures, in points from the bottom left."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pypdfium2
from pypdfium2 import raw

COVERED = 0.3
"""Share of a character that another one may cover: letters of a word touch, and accents reach over their neighbours."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One printed page. `boxes` are [characters, 4]: left, bottom, right, top."""

    number: int
    size: tuple[float, float]
    text: str
    boxes: np.ndarray  # of slanted characters the middle half, since their boxes stand upright
    pictures: np.ndarray

    def outside(self) -> list[str]:
        """What does not lie on the paper."""
        limits = np.array([0, 0, *self.size]) + np.array([-0.5, -0.5, 0.5, 0.5])
        found = []
        for name, boxes in (("character", self.boxes), ("picture", self.pictures)):
            off = (boxes[:, :2] < limits[:2]).any(axis=1) | (boxes[:, 2:] > limits[2:]).any(axis=1)
            found += [f"page {self.number}: {name} at {box.round()}" for box in boxes[off]]
        return found

    def overlaps(self) -> list[str]:
        """Pairs of characters of which one covers the other."""
        left, bottom, right, top = self.boxes.T
        areas = (right - left) * (top - bottom)
        found = []
        for one in range(len(self.boxes)):
            rest = slice(one + 1, None)
            width = np.minimum(right[one], right[rest]) - np.maximum(left[one], left[rest])
            height = np.minimum(top[one], top[rest]) - np.maximum(bottom[one], bottom[rest])
            shared = width.clip(0) * height.clip(0)
            for other in one + 1 + np.flatnonzero(shared > COVERED * np.minimum(areas[one], areas[rest])):
                around = self.text[max(one - 12, 0) : one + 12], self.text[max(other - 12, 0) : other + 12]
                found.append(f"page {self.number}: {around[0]!r} and {around[1]!r} at {self.boxes[one].round()}")
        return found


def _box(words: pypdfium2.PdfTextPage, number: int) -> tuple[float, float, float, float]:
    left, bottom, right, top = words.get_charbox(number)
    slant = math.sin(2 * raw.FPDFText_GetCharAngle(words.raw, number))
    across, up = ((right - left) / 4, (top - bottom) / 4) if abs(slant) > 0.1 else (0, 0)
    return left + across, bottom + up, right - across, top - up


def letters(text: str) -> Counter[str]:
    """How often each letter and digit stands in a text; ligatures are taken apart."""
    return Counter(char for char in unicodedata.normalize("NFKC", text) if char.isalnum())


def sheets(pdf: bytes) -> list[Sheet]:
    """The pages of a PDF."""
    document = pypdfium2.PdfDocument(pdf)
    found = []
    for number, page in enumerate(document, start=1):
        words = page.get_textpage()
        chars = [(chr(raw.FPDFText_GetUnicode(words.raw, n)), _box(words, n)) for n in range(words.count_chars())]
        seen = [(char, box) for char, box in chars if char.strip() and box[2] > box[0] and box[3] > box[1]]
        pictures = [each.get_bounds() for each in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE])]
        found.append(
            Sheet(
                number,
                page.get_size(),
                "".join(char for char, _ in seen),
                np.array([box for _, box in seen]).reshape(-1, 4),
                np.array(pictures).reshape(-1, 4),
            )
        )
    return found
