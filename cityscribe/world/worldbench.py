"""Attribute accuracy of captions of the synthetic city: what a model saw, and not how it put it.

    rows = attribute_accuracy(pairs, majority)

The truth is what the reference caption states, read by `read.py`, which reads every caption of the city exactly. An
attribute counts wherever the reference states it: a prediction that leaves it out or contradicts itself is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from cityscribe.world.facts import Facts
from cityscribe.world.read import read_caption

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "pedestrian": (
        "sex",
        "age",
        "height_cm",
        "upper",
        "upper_colour",
        "lower",
        "lower_colour",
        "hat_colour",
        "carried",
        "position",
        "distance",
        "facing",
        "gaze",
        "motion",
    ),
    "vehicle": ("vehicle_kind", "vehicle_colour", "vehicle_action", "vehicle_speed_kmh"),
    "scene": ("weather", "light", "surface", "road", "lanes", "sidewalks", "traffic"),
}
"""What is scored, by what it is about."""


@dataclass(frozen=True, slots=True)
class AttributeAccuracy:
    """Of one attribute."""

    about: str
    attribute: str
    asked: int  # captions whose reference states it
    right: float  # share of these, 0 to 1
    omitted: float  # share of these that do not state it
    majority: float  # share that the most frequent value of the training captions gets right


def majority_values(captions: Iterable[str]) -> Facts:
    """The most frequent value of each attribute; the first in the alphabet where several are."""
    counts: dict[str, Counter[str]] = {}
    for caption in captions:
        for name, value in read_caption(caption).items():
            counts.setdefault(name, Counter())[value] += 1
    return {name: min(values, key=lambda value: (-values[value], value)) for name, values in counts.items()}


def attribute_accuracy(pairs: Iterable[tuple[str, str]], majority: Facts) -> list[AttributeAccuracy]:
    """Accuracy by attribute over pairs of a reference and a predicted caption; attributes never stated are left out."""
    read = [(read_caption(reference), read_caption(prediction)) for reference, prediction in pairs]
    rows = []
    for about, names in ATTRIBUTES.items():
        for name in names:
            stated = [(truth[name], said.get(name)) for truth, said in read if name in truth]
            if stated:
                shares = [
                    sum(hit) / len(stated)
                    for hit in (
                        [truth == said for truth, said in stated],
                        [said is None for _, said in stated],
                        [truth == majority.get(name) for truth, _ in stated],
                    )
                ]
                rows.append(AttributeAccuracy(about, name, len(stated), *shares))
    return rows


def mean_accuracy(rows: list[AttributeAccuracy]) -> float:
    """Every attribute counts the same."""
    return sum(row.right for row in rows) / len(rows)
