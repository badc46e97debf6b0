"""Whether captions of one scenario go together: what cannot change does not, and what changes does so in time.

Fixed attributes (height, clothing, weather, road, ...) are compared over all captions of a scenario, of both road users
and all phases. The others (motion, distance, gaze, ...) are compared from each phase to the next in the captions of one
road user: a step of the prediction should be a change exactly where that of the reference is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

from cityscribe.traffic.metrics.attributes import UNCLEAR, agrees, attributes
from cityscribe.traffic.scenario import PHASES, ROLES


class SegmentFacts(NamedTuple):
    """What both captions of a segment state, by attribute."""

    stated: dict[str, str]  # by the reference
    said: dict[str, str]  # by the prediction; empty where there is none


def consistency(facts: Mapping[str, SegmentFacts]) -> dict[str, dict[str, dict[str, int]]]:
    """Counts by attribute, for segments named `SCENARIO/PHASE/ROLE`.

    `fixed`: of the scenarios in which several captions state an attribute, in how many they all agree (`kept`), for the
    predictions and for the references. `changing`: of the steps to the next phase that both sides state, in how many
    both keep the value or both change it (`together`), the prediction keeps what changes (`missed`) or changes what
    stays (`invented`); and `changes`, how many the references make. Attributes without anything to compare are absent.
    """
    fixed: dict[str, dict[str, int]] = {}
    changing: dict[str, dict[str, int]] = {}
    for segments in _by_scenario(facts).values():
        for name, attribute in attributes().items():
            if attribute.fixed:
                for side, captions in (
                    ("predictions", [found.said for found in segments.values()]),
                    ("references", [found.stated for found in segments.values()]),
                ):
                    values = [caption[name] for caption in captions if name in caption]
                    if len(values) > 1:
                        _count(fixed, name, side, f"{side}_kept" if _all_agree(name, values) else "")
            else:
                for role in ROLES:
                    for kind in _steps(name, [segments.get((phase, role)) for phase in range(len(PHASES))]):
                        _count(changing, name, *kind)
    return {
        "fixed": _complete(fixed, ("predictions", "predictions_kept", "references", "references_kept")),
        "changing": _complete(changing, ("steps", "together", "missed", "invented", "changes")),
    }


def _by_scenario(facts: Mapping[str, SegmentFacts]) -> dict[str, dict[tuple[int, str], SegmentFacts]]:
    scenarios: dict[str, dict[tuple[int, str], SegmentFacts]] = {}
    for key, found in facts.items():
        scenario, phase, role = key.rsplit("/", 2)
        scenarios.setdefault(scenario, {})[int(phase), role] = found
    return scenarios


def _all_agree(name: str, values: Sequence[str]) -> bool:
    return all(agrees(name, first, other) for first, other in combinations(dict.fromkeys(values), 2)) and (
        UNCLEAR not in values
    )


def _steps(name: str, phases: Sequence[SegmentFacts | None]) -> Iterable[tuple[str, ...]]:
    """For each step that both sides state clearly, what it counts as."""
    for before, after in pairwise(phases):
        if before is None or after is None:
            continue
        values = [side.get(name, UNCLEAR) for side in (before.stated, after.stated, before.said, after.said)]
        if UNCLEAR in values:
            continue
        changes, changed = (not agrees(name, *values[at : at + 2]) for at in (0, 2))
        kind = "together" if changes == changed else "missed" if changes else "invented"
        yield "steps", kind, "changes" if changes else ""


def _count(counts: dict[str, dict[str, int]], name: str, *kinds: str) -> None:
    own = counts.setdefault(name, {})
    for kind in filter(None, kinds):
        own[kind] = own.get(kind, 0) + 1


def _complete(counts: dict[str, dict[str, int]], kinds: Sequence[str]) -> dict[str, dict[str, int]]:
    return {name: {kind: counts[name].get(kind, 0) for kind in kinds} for name in attributes() if name in counts}
