"""Agreement of two judges, against values worked out by hand and by definition."""

from __future__ import annotations

import numpy as np
import pytest

from cityscribe.evaluate.agreement import agreement, correlation, kappa, ranks
from cityscribe.evaluate.verdict import Verdict


def verdicts(*pairs: tuple[bool | None, int | None]) -> list[Verdict]:
    return [Verdict(correct, score, "") for correct, score in pairs]


def test_kappa_of_a_known_table() -> None:
    """20 both yes, 15 both no, 5 and 10 apart: 0.7 observed, 0.5 by chance."""
    assert kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)
    assert kappa(np.array([[3, 0], [0, 7]])) == 1
    assert kappa(np.array([[3, 0], [0, 0]])) is None


def test_ranks_share_the_mean_place() -> None:
    assert ranks(np.array([3.0, 1.0, 3.0, 0.0])).tolist() == [3.5, 2.0, 3.5, 1.0]
    assert correlation(np.array([1.0, 1.0]), np.array([1.0, 2.0])) is None


def test_only_what_both_could_be_read_on_is_compared() -> None:
    first = verdicts((True, 5), (True, 4), (False, 0), (False, 1), (None, None))
    second = verdicts((True, 4), (False, 3), (False, 1), (None, None), (True, 5))
    found = agreement(first, second)
    assert (found.items, found.both_read) == (5, 3)
    assert found.table == [[1, 1], [0, 1]]
    assert found.agreement == pytest.approx(2 / 3)
    assert found.kappa == pytest.approx((2 / 3 - 4 / 9) / (5 / 9))
    assert found.pearson == pytest.approx(np.corrcoef([5, 4, 0], [4, 3, 1])[0, 1])
    assert found.spearman == pytest.approx(1)
    assert found.difference == pytest.approx(-1 / 3)


def test_scores_alone_and_nothing_in_common() -> None:
    found = agreement(verdicts((None, 2), (None, 4)), verdicts((None, 4), (None, 2)))
    assert (found.kappa, found.table, found.pearson) == (None, None, pytest.approx(-1))
    nothing = agreement(verdicts((None, None)), verdicts((True, 1)))
    assert (nothing.both_read, nothing.agreement, nothing.difference) == (0, None, None)
