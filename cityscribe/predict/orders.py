"""In which conversations the road users of a phase are asked about. Importing it needs no library of models."""

from __future__ import annotations

ORDERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "vehicle-pedestrian": (("vehicle", "pedestrian"),),
    "pedestrian-vehicle": (("pedestrian", "vehicle"),),
    "independent": (("vehicle",), ("pedestrian",)),
}
"""Conversations, each as the roles that it asks about one after the other."""
