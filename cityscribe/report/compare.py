"""Several runs on the same references, side by side: what separates them, how surely, and where.

    comparison = compare_runs({"lora": run, "blocks": other}, seed=0)
    write_comparison(comparison, image_root, settings, out)

The first run is what the others are compared with. Intervals come from drawing scenarios (`bootstrap.py`), p-values
from exchanging the runs scenario by scenario (a paired permutation test), corrected by Holm's method where there is
more than one comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cityscribe.evaluate.resampling import holm
from cityscribe.files import InputError, write_json, write_text
from cityscribe.plain_yaml import parse_yaml
from cityscribe.report.bootstrap import paired_interval, paired_p_value, score
from cityscribe.report.breakdowns import breakdowns
from cityscribe.report.comparison import Change, ComparedWith, Comparison
from cityscribe.report.moves import attribute_moves, kind_moves
from cityscribe.report.page import render
from cityscribe.report.run_files import Run, SegmentKey
from cityscribe.report.settings import Reporting
from cityscribe.report.tables import reference_domains, segment_points

CHANGES = 10
"""Segments of each direction that are listed for a comparison."""


def compare_runs(runs: Mapping[str, Run], seed: int = 0) -> Comparison:
    """Compare the tuned models of runs that were scored on the same segments.

    Raises InputError for fewer than two runs, for one without scores and for runs on different references.
    """
    if len(runs) < 2:
        raise InputError("compare: give two runs or more")
    joined = _join(runs)
    domains = reference_domains(joined)
    points = {model.name: _points(model.name, segment_points(model)) for model in joined.models}
    (first, own), *rest = points.items()
    p_values = holm([paired_p_value(own, other, domains, seed) for _, other in rest])
    attributes, kinds = attribute_moves(joined, seed), kind_moves(joined, seed)
    return Comparison(
        run=joined,
        first=first,
        score=score(own, domains),
        others=tuple(
            ComparedWith(
                name=name,
                score=score(other, domains),
                difference=score(other, domains) - score(own, domains),
                interval=paired_interval(other, own, domains, seed),
                p_value=p_value,
                gained=_changes(own, other, domains, 1),
                lost=_changes(own, other, domains, -1),
                attributes=attributes[name],
                kinds=kinds[name],
            )
            for (name, other), p_value in zip(rest, p_values, strict=True)
        ),
        settings=_different_settings(list(runs.values())),
    )


def write_comparison(comparison: Comparison, image_root: Path, settings: Reporting, out: Path) -> None:
    """Write `compare.json` and the page `index.html` to a folder."""
    out.mkdir(parents=True, exist_ok=True)
    moved = [change.segment for other in comparison.others for change in (*other.gained, *other.lost)]
    names = {tuple(segment.rsplit("/", 2)[:2]) for segment in moved}
    run = comparison.run
    most = tuple(phase for phase in run.phases if (phase.scenario, str(phase.phase)) in names)
    page = render(run, image_root, settings, shown=most, comparison=comparison)
    write_json(
        out / "compare.json",
        {
            "first": {"name": comparison.first, "score": comparison.score},
            "others": [asdict(other) for other in comparison.others],
            "breakdowns": {
                kind: [asdict(row) for row in rows] for kind, rows in breakdowns(run, settings.seed).items()
            },
            "settings": comparison.settings,
        },
    )
    write_text(out / "index.html", page)


def _join(runs: Mapping[str, Run]) -> Run:
    (name, first), *rest = runs.items()
    asked = {(phase.key, role): text for phase in first.phases for role, text in phase.references.items()}
    for other, run in rest:
        if {(phase.key, role): text for phase in run.phases for role, text in phase.references.items()} != asked:
            raise InputError(f"{other}: is not about the same phases and references as {name}; compare equal splits")
    models = tuple(replace(run.tuned, name=each) for each, run in runs.items())
    return replace(first, models=models)


def _different_settings(runs: list[Run]) -> dict[str, tuple[str, ...]]:
    """The settings in which runs differ, but for their names and where they lie."""
    projects = [{} if run.project is None else parse_yaml(run.project, "project.yaml")[0] for run in runs]
    flat = [dict(_flat("", project)) for project in projects]
    names = dict.fromkeys(name for settings in flat for name in settings if name not in ("name", "runs"))
    values = {name: tuple(settings.get(name, "") for settings in flat) for name in names}
    return {name: row for name, row in values.items() if len(set(row)) > 1}


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [entry for name, inner in value.items() for entry in _flat(f"{prefix}.{name}".lstrip("."), inner)]
    return [(prefix, str(value))]


def _points(name: str, points: dict[SegmentKey, float] | None) -> dict[SegmentKey, float]:
    if points is None:
        raise InputError(f"{name}: has no scores; run `cityscribe evaluate` on it first")
    return points


def _changes(
    own: Mapping[SegmentKey, float], other: Mapping[SegmentKey, float], domains: Mapping[SegmentKey, str], sign: int
) -> tuple[Change, ...]:
    moved = [(sign * (other.get(key, 0.0) - own.get(key, 0.0)), key) for key in domains]
    largest = sorted((-by, key) for by, key in moved if by > 0)[:CHANGES]
    return tuple(Change("/".join(map(str, key)), own.get(key, 0.0), other.get(key, 0.0)) for _, key in largest)
