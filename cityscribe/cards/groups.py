"""How a model does for groups of people and of scenes: the segments whose reference caption states the group.

A model that describes women less well than men, or the old less well than the young, shows it here and in no mean. Who
is in a group is what the reference says, read by `traffic.metrics.attributes`; a group of few scenarios says little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum
from pathlib import Path

from cityscribe.evaluate.registries import challenge_points
from cityscribe.files import read_json
from cityscribe.traffic.metrics.attribute_scores import judge
from cityscribe.traffic.metrics.attributes import UNCLEAR
from cityscribe.traffic.metrics.consistency import SegmentFacts

GROUPS = ("sex", "age", "light", "weather")
"""Attributes whose values are groups: who somebody is, and what it was like to see them."""


@dataclass(frozen=True, slots=True)
class GroupScore:
    """The segments of one group."""

    attribute: str
    value: str
    segments: int
    scenarios: int  # that these are of
    points: float  # the mean score of the segments; one without prediction counts as zero
    stated: int  # what their references state of other attributes
    right: int  # of these


def group_scores(results: Path) -> list[GroupScore]:
    """The groups that the references of a scored folder state, in order; none where attributes were not read."""
    file = results / "attributes.json"
    if not file.is_file():
        return []
    facts = {
        str(key): SegmentFacts(found["stated"], found["said"])
        for key, found in dict(read_json(file))["segments"].items()
    }
    metrics: Mapping[str, Mapping[str, float]] = dict(read_json(results / "segments.json"))
    found = []
    for attribute in GROUPS:
        stating = {key: one for key, one in facts.items() if one.stated.get(attribute, UNCLEAR) != UNCLEAR}
        for value in sorted({one.stated[attribute] for one in stating.values()}):
            members = {key: one for key, one in stating.items() if one.stated[attribute] == value}
            found.append(_score(attribute, value, members, metrics))
    return found


def _score(
    attribute: str, value: str, facts: Mapping[str, SegmentFacts], metrics: Mapping[str, Mapping[str, float]]
) -> GroupScore:
    verdicts = [judge(name, one) for one in facts.values() for name in one.stated if name != attribute]
    return GroupScore(
        attribute,
        value,
        len(facts),
        len({key.rsplit("/", 2)[0] for key in facts}),
        fsum(challenge_points(metrics[key]) for key in facts if key in metrics) / len(facts),
        sum(verdict in ("right", "contradicted", "omitted") for verdict in verdicts),
        sum(verdict == "right" for verdict in verdicts),
    )
