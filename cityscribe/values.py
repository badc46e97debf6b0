"""Values of other people's files, taken by type and range: text may hold halves of characters, numbers may be none."""

from __future__ import annotations

import math
from typing import Any

MAX_PIXELS = 1e5
"""Larger values than this are slips of the pen, not places in a frame."""


def shown(value: Any) -> str:
    """A value in a message: the value itself where that is short, or else what it is."""
    if value is None:
        return "missing"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        short = len(value) <= 4 and not any(isinstance(entry, list) for entry in value)
        return f"[{', '.join(map(shown, value))}]" if short else f"a list of {len(value)}"
    if isinstance(value, str) and len(value) > 60:
        return repr(value[:57] + "...")
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**18 else "a huge number"
    return text if len(text) <= 70 else text[:67] + "..."


def finite(value: Any) -> float | None:
    """A finite number, given as such or as a string."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def plain_text(value: Any) -> str | None:
    """Text that can be stored: halves of surrogate pairs, which are no characters, become `?`. None for no text."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else None


def name_of(value: Any) -> str | None:
    """A name, given as text or as a whole number."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return str(value)
    text = plain_text(value)
    return text if text else None
