from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cityscribe.report.breakdowns import box_size, breakdowns, kinds
from cityscribe.report.run_files import Run, read_run
from cityscribe.report.tables import segment_points
from tests.report.run_folder import settings


@pytest.fixture
def run(finished: Path) -> Run:
    return read_run(finished, settings(finished))


def test_breakdowns_average_every_segment_once_and_count_missing_ones_as_zero(run: Run) -> None:
    dropped = next(iter(run.tuned.segments or {}))
    segments = {key: metrics for key, metrics in (run.tuned.segments or {}).items() if key != dropped}
    run = replace(run, models=(replace(run.tuned, segments=segments), *run.baselines))
    points = segment_points(run.tuned)
    assert points is not None
    found = breakdowns(run, 0)
    assert list(found) == ["Domain", "View", "Phase", "Road user", "Light", "Weather", "Distance"]
    for rows in found.values():
        assert sum(row.segments for row in rows) == 50
        total = sum(row.segments * (row.points[0] or 0.0) for row in rows)
        assert total == pytest.approx(sum(points.values()))
        for row in rows:
            if row.interval is not None:
                assert row.interval.low <= (row.points[0] or 0.0) <= row.interval.high
    assert [row.title for row in found["View"]] == ["overhead", "vehicle"]


def test_one_scenario_has_no_interval(run: Run) -> None:
    alone = replace(run, phases=tuple(phase for phase in run.phases if phase.scenario == run.phases[0].scenario))
    assert all(row.interval is None for rows in breakdowns(alone, 0).values() for row in rows)


def test_kinds_that_nothing_is_known_of_are_left_out(run: Run) -> None:
    unread = replace(run, models=tuple(replace(model, attributes=None) for model in run.models))
    assert list(kinds(unread)) == ["Domain", "View", "Phase", "Road user"]
    first = run.phases[0]
    boxed = replace(run, box_areas={f"{first.scenario}/{first.phase}/pedestrian": 900.0})
    assert {value: len(keys) for value, keys in kinds(boxed)["Box"].items()} == {"small": 1, "no box": 49}


def test_box_sizes_are_the_bands_of_coco() -> None:
    assert [box_size(area) for area in (0, 32**2 - 1, 32**2, 96**2 - 1, 96**2)] == [
        *("small", "small", "medium", "medium", "large")
    ]
