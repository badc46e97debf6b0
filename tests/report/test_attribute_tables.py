from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cityscribe.evaluate.resampling import mean
from cityscribe.report.attribute_tables import attribute_rows, changing_rows, fixed_rows, mean_accuracies, outcomes
from cityscribe.report.run_files import Run, read_run
from cityscribe.traffic.metrics.attributes import attributes
from tests.report.run_folder import settings


@pytest.fixture
def run(finished: Path) -> Run:
    return read_run(finished, settings(finished))


def test_rows_repeat_the_counts_of_every_model_in_the_order_of_the_rules(run: Run) -> None:
    rows = attribute_rows(run, 0)
    order = list(attributes())
    assert [row.attribute for row in rows] == sorted((row.attribute for row in rows), key=order.index)
    for row in rows:
        own = row.models[0]
        assert own is not None
        assert mean([outcomes(run.tuned, row.attribute)]) == pytest.approx(own.share("right"))
        assert own.share("right") + own.share("contradicted") + own.share("omitted") == pytest.approx(1)
        if row.interval is not None:
            assert row.interval.low <= own.share("right") <= row.interval.high
    tuned, untuned, blind = mean_accuracies(rows)
    assert tuned is not None
    assert untuned is not None
    assert blind is not None
    assert tuned > max(untuned, blind)


def test_a_model_that_is_not_read_leaves_its_column_empty(run: Run) -> None:
    models = (run.tuned, replace(run.baselines[0], attributes=None), run.baselines[1])
    partly = replace(run, models=models)
    assert all(row.models[1] is None and row.models[2] is not None for row in attribute_rows(partly, 0))
    assert mean_accuracies(attribute_rows(partly, 0))[1] is None
    nobody = replace(run, models=tuple(replace(model, attributes=None) for model in models))
    assert not attribute_rows(nobody, 0)
    assert not fixed_rows(nobody)
    assert not changing_rows(nobody)


def test_references_of_the_city_keep_what_cannot_change(run: Run) -> None:
    rows = {row.attribute: row for row in fixed_rows(run)}
    assert {"height", "weather", "upper_colour"} <= rows.keys()
    assert all(row.references in (None, 1.0) for row in rows.values())
    assert {"motion", "distance"} <= {row.attribute for row in changing_rows(run)}
