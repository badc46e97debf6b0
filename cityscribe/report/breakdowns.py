"""Where a model is good and where it is not: points by kinds of segment, with intervals.

A kind is what the phase is (domain, view, phase, road user), what its reference caption states of it (light, weather,
distance of the road users, as `attributes.json` has them), or how large the road user is in the frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from cityscribe.evaluate.resampling import Interval, Stratum, interval, stratum
from cityscribe.report.run_files import Run, SegmentKey
from cityscribe.report.tables import reference_domains, segment_points
from cityscribe.traffic.scenario import PHASES

STATED = {"Light": "light", "Weather": "weather", "Distance": "distance"}
"""Kinds that the reference caption states, and the attribute that does."""

BOX_SIZES = ((32.0**2, "small"), (96.0**2, "medium"), (float("inf"), "large"))
"""Bands of the area of a box in the frame, square pixels: those of COCO (below 32 x 32, below 96 x 96, more)."""

UNKNOWN = "not stated"
NO_BOX = "no box"

ORDER = (*PHASES, "bright", "dim", "dark", "near", "close", "far", "small", "medium", "large")
"""Values that have an order of their own; others stand in that of the alphabet, what is not known last."""


@dataclass(frozen=True, slots=True)
class BreakdownRow:
    """The mean over the segments of one kind for each model, None where it is not scored; the interval is that of the
    first model, None where one scenario has them all."""

    title: str
    segments: int
    points: tuple[float | None, ...]
    interval: Interval | None


def breakdowns(run: Run, seed: int) -> dict[str, list[BreakdownRow]]:
    """The mean over segments by each kind that the run knows; a segment without prediction counts as zero."""
    points = [segment_points(model) for model in run.models]
    found = {}
    for kind, groups in kinds(run).items():
        rows = []
        for value, keys in groups.items():
            means = tuple(None if own is None else fmean(own.get(key, 0.0) for key in keys) for own in points)
            own = points[0]
            sure = None if own is None else interval([outcomes(own, keys)], seed)
            rows.append(BreakdownRow(value, len(keys), means, sure))
        found[kind] = rows
    return found


def kinds(run: Run) -> dict[str, dict[str, list[SegmentKey]]]:
    """The segments with a reference by kind and value. A kind of which only UNKNOWN is known is left out."""
    phases = {phase.key: phase for phase in run.phases}
    domains = reference_domains(run)
    keys = sorted(domains)
    stated = _stated(run)
    areas = run.box_areas or {}
    values: dict[str, dict[SegmentKey, str]] = {
        "Domain": domains,
        "View": {key: phases[key[:2]].view_kind for key in keys},
        "Phase": {key: PHASES[key[1]] for key in keys},
        "Road user": {key: key[2] for key in keys},
        **{
            kind: {key: stated[key][name] for key in keys if name in stated.get(key, {})}
            for kind, name in STATED.items()
        },
        "Box": {key: box_size(areas["/".join(map(str, key))]) for key in keys if "/".join(map(str, key)) in areas},
    }
    missing = {"Box": NO_BOX}
    return {
        kind: _grouped((key, known.get(key, missing.get(kind, UNKNOWN))) for key in keys)
        for kind, known in values.items()
        if known
    }


def box_size(area: float) -> str:
    """The name of the band of an area in square pixels."""
    return next(name for limit, name in BOX_SIZES if area < limit)


def outcomes(points: Mapping[SegmentKey, float], keys: Iterable[SegmentKey]) -> Stratum:
    """The points of segments as a table by scenario, for drawing."""
    named = list(keys)
    return stratum([key[0] for key in named], [""] * len(named), [points.get(key, 0.0) for key in named])


def _stated(run: Run) -> dict[SegmentKey, Mapping[str, str]]:
    """What the references state; models read the same references, so the first that is read will do."""
    for model in run.models:
        if model.attributes is not None:
            split = ((key.rsplit("/", 2), facts) for key, facts in model.attributes.segments.items())
            return {(scenario, int(phase), role): facts.stated for (scenario, phase, role), facts in split}
    return {}


def _grouped(pairs: Iterable[tuple[SegmentKey, str]]) -> dict[str, list[SegmentKey]]:
    groups: dict[str, list[SegmentKey]] = {}
    for key, value in pairs:
        groups.setdefault("stated in two ways" if value == "?" else value, []).append(key)

    def place(value: str) -> tuple[bool, int, str]:
        return value in (UNKNOWN, NO_BOX), ORDER.index(value) if value in ORDER else len(ORDER), value

    return {value: groups[value] for value in sorted(groups, key=place)}
