"""Intervals and p-values over groups, against plain ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cityscribe.evaluate.resampling import (
    RESAMPLES,
    Paired,
    Stratum,
    column_intervals,
    holm,
    interval,
    mean,
    paired_interval,
    paired_p_value,
    stratum,
)


def outcomes(seed: int, groups: int = 60, questions: int = 5) -> tuple[list[str], list[str], list[float]]:
    rng = np.random.default_rng(seed)
    names = [f"clip{n // questions}" for n in range(groups * questions)]
    return names, ["ab"[n % 2] for n in range(len(names))], list(rng.integers(0, 2, len(names)).astype(float))


def test_the_mean_of_one_column_is_the_plain_one_and_of_classes_the_balanced_one() -> None:
    groups, classes, values = outcomes(0)
    assert mean([stratum(groups, [""] * len(groups), values)]) == pytest.approx(np.mean(values))
    recalls = [np.mean([v for c, v in zip(classes, values, strict=True) if c == name]) for name in "ab"]
    assert mean([stratum(groups, classes, values)]) == pytest.approx(np.mean(recalls))


def test_the_interval_is_that_of_a_plain_bootstrap_over_groups() -> None:
    groups, _, values = outcomes(1)
    table = stratum(groups, [""] * len(groups), values)
    found = interval([table], seed=3)
    assert found is not None
    rng = np.random.default_rng(9)
    sums, counts = table.sums[:, 0], table.counts[:, 0]
    drawn = rng.integers(len(sums), size=(RESAMPLES, len(sums)))
    plain = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.006)
    assert interval([table], seed=3) == found


def test_questions_of_one_clip_are_not_counted_as_independent() -> None:
    alike = stratum([f"c{n // 10}" for n in range(200)], [""] * 200, [float(n // 10 % 2) for n in range(200)])
    apart = stratum([str(n) for n in range(200)], [""] * 200, [float(n // 10 % 2) for n in range(200)])
    wide, narrow = interval([alike], 0), interval([apart], 0)
    assert wide is not None
    assert narrow is not None
    assert (wide.high - wide.low) == pytest.approx(math.sqrt(10) * (narrow.high - narrow.low), rel=0.15)


def test_the_p_value_is_that_of_all_exchanges() -> None:
    first = np.array([[1.0], [1.0], [0.0], [1.0], [1.0], [1.0], [0.0]])
    second = np.array([[0.0], [0.0], [1.0], [0.0], [0.0], [1.0], [0.0]])
    difference = (first - second)[:, 0]
    signs = np.array(np.meshgrid(*[[-1, 1]] * 7)).reshape(7, -1).T
    exact = np.mean(np.abs(signs @ difference) >= abs(difference.sum()) - 1e-9)
    assert paired_p_value([Paired(first, second, np.ones((7, 1)))], 0) == pytest.approx(exact, abs=0.03)


def test_equal_models_do_not_differ() -> None:
    groups, _, values = outcomes(2)
    table = stratum(groups, [""] * len(groups), values)
    same = Paired(table.sums, table.sums, table.counts)
    assert paired_p_value([same], 0) == 1.0
    found = paired_interval([same], 0)
    assert found is not None
    assert (found.low, found.high) == (0.0, 0.0)


def test_one_group_gives_no_interval() -> None:
    table = Stratum(np.array([[3.0]]), np.array([[4.0]]))
    assert interval([table], 0) is None
    assert paired_p_value([Paired(table.sums, table.sums, table.counts)], 0) is None


def test_each_column_has_the_interval_of_its_own_groups() -> None:
    table = stratum(["x", "y", "z", "x"], ["a", "a", "a", "b"], [1.0, 0.0, 1.0, 1.0])
    first, second = column_intervals(table, 0)
    assert first is not None
    assert (first.low, first.high) == (0.0, 1.0)
    assert second is None


def test_holm_on_a_known_case() -> None:
    assert holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06])
