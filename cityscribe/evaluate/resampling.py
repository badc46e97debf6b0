"""How sure a mean is, and a difference of two: bootstrap and permutation over groups.

Questions about one clip and segments of one scenario are alike, so groups are what is drawn or exchanged, never single
outcomes. A stratum is a table of sums and counts, both [groups, columns]; its mean is the mean over columns of sum by
count, and the mean of several strata is that of their means. One column gives the plain mean, a column a class the
class-balanced one, a stratum a domain and a column a road user the score of the profile `wts`.

Groups with equal rows are drawn together, by their number: exact, and fast for right and wrong answers, of which even
100,000 have few different rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

RESAMPLES = 5000
CONFIDENCE = 0.95

MOST_CELLS = 1 << 21
"""Numbers drawn at once: 16 MiB, a few times over."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The middle `CONFIDENCE` of the values of all draws."""

    low: float
    high: float


class Stratum(NamedTuple):
    """Sums and counts, both [groups, columns]."""

    sums: np.ndarray
    counts: np.ndarray


class Paired(NamedTuple):
    """The sums of two models over the same outcomes, and their counts, each [groups, columns]."""

    first: np.ndarray
    second: np.ndarray
    counts: np.ndarray


def stratum(groups: Sequence[str], columns: Sequence[str], outcomes: Sequence[float]) -> Stratum:
    """The table of outcomes, each of a group and in a column. Rows and columns stand in the order of their names."""
    rows = {name: place for place, name in enumerate(sorted(set(groups)))}
    places = {name: place for place, name in enumerate(sorted(set(columns)))}
    at = (np.array([rows[group] for group in groups]), np.array([places[column] for column in columns]))
    sums, counts = np.zeros((2, len(rows), len(places)))
    np.add.at(sums, at, outcomes)
    np.add.at(counts, at, 1.0)
    return Stratum(sums, counts)


def mean(strata: Iterable[Stratum]) -> float:
    """The mean over strata, of the means over their columns."""
    return float(np.mean([_means(each.sums.sum(axis=0), each.counts.sum(axis=0)) for each in strata]))


def interval(strata: Sequence[Stratum], seed: int) -> Interval | None:
    """The interval of the mean, or None where a stratum has fewer than two groups."""
    return paired_interval([Paired(each.sums, np.zeros_like(each.sums), each.counts) for each in strata], seed)


def column_intervals(table: Stratum, seed: int) -> list[Interval | None]:
    """The interval of each column's own mean; None where fewer than two groups have it."""
    shown = (table.counts > 0).sum(axis=0)
    parts = [Stratum(table.sums[:, [n]], table.counts[:, [n]]) for n in range(table.counts.shape[1])]
    kept = [Stratum(part.sums[part.counts[:, 0] > 0], part.counts[part.counts[:, 0] > 0]) for part in parts]
    return [interval([part], seed) if number > 1 else None for part, number in zip(kept, shown, strict=True)]


def paired_interval(strata: Sequence[Paired], seed: int) -> Interval | None:
    """The interval of the mean of the first minus that of the second, both scored on the same draws; None where a
    stratum has fewer than two groups. Each stratum keeps its number of groups; they are drawn with replacement."""
    rng = np.random.default_rng(seed)
    differences = []
    for each in strata:
        groups, columns = each.counts.shape
        if groups < 2:
            return None
        rows, times = _alike(each)
        found = []
        for size in _batches(len(rows)):
            drawn = _draws(rng, times, size).astype(np.float64) @ rows
            first, second, counts = (drawn[:, n * columns : (n + 1) * columns] for n in range(3))
            found.append(_means(first, counts) - _means(second, counts))
        differences.append(np.concatenate(found))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.mean(differences, axis=0), [tail, 1 - tail])
    return Interval(float(low), float(high))


def paired_p_value(strata: Sequence[Paired], seed: int) -> float | None:
    """How often exchanging the two models in a random half of the groups makes a difference as large as theirs.

    A two-sided paired permutation test, from 1 / (`RESAMPLES` + 1) to 1; None where there are fewer than two groups.
    """
    rng = np.random.default_rng(seed)
    exchanged = np.zeros(RESAMPLES)
    observed = 0.0
    for each in strata:
        rows, times = _alike(Paired(each.first - each.second, np.zeros_like(each.first), np.zeros_like(each.counts)))
        differences = rows[:, : each.counts.shape[1]]
        totals = each.counts.sum(axis=0)
        found = []
        for size in _batches(len(rows)):
            kept = rng.binomial(times, 0.5, size=(size, len(times)))
            found.append((2.0 * kept - times) @ differences)
        exchanged += _means(np.concatenate(found), totals) / len(strata)
        observed += float(_means(times @ differences, totals)) / len(strata)
    if sum(len(each.counts) for each in strata) < 2:
        return None
    # A hair of tolerance, because sums of the same numbers in another order differ in their last digit.
    as_large = np.count_nonzero(np.abs(exchanged) >= abs(observed) * (1 - 1e-9))
    return (1 + int(as_large)) / (RESAMPLES + 1)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's correction: the chance of any false alarm among all comparisons stays below the level. None stays."""
    known = sorted((value, place) for place, value in enumerate(p_values) if value is not None)
    corrected: list[float | None] = [None] * len(p_values)
    running_max = 0.0
    for rank, (value, place) in enumerate(known):
        running_max = max(running_max, min(1.0, value * (len(known) - rank)))
        corrected[place] = running_max
    return corrected


def _alike(table: Paired) -> tuple[np.ndarray, np.ndarray]:
    """The different rows of a table, first, second and counts side by side, in the order in which they appear, and how
    often each is there."""
    rows, first, times = np.unique(np.hstack(table), axis=0, return_index=True, return_counts=True)
    order = np.argsort(first)
    return rows[order], times[order]


def _draws(rng: np.random.Generator, times: np.ndarray, size: int) -> np.ndarray:
    """How often each row is there in `size` draws of as many groups as there are, [size, rows]."""
    groups = int(times.sum())
    if 4 * len(times) < groups:
        return rng.multinomial(groups, times / groups, size=size)
    # The same distribution, faster where most rows differ.
    row_of = np.repeat(np.arange(len(times)), times)
    at = row_of[rng.integers(groups, size=(size, groups), dtype=np.int32)] + len(times) * np.arange(size)[:, None]
    return np.bincount(at.ravel(), minlength=size * len(times)).reshape(size, -1)


def _batches(rows: int) -> Iterator[int]:
    """How many draws to make at once."""
    size = max(1, MOST_CELLS // rows)
    for start in range(0, RESAMPLES, size):
        yield min(size, RESAMPLES - start)


def _means(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean over the last axis of sums by counts; a column without a count in a draw is left out of that draw."""
    counts = np.broadcast_to(counts, sums.shape)
    each = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    return each.sum(axis=-1) / np.maximum((counts > 0).sum(axis=-1), 1)


def mean_interval(groups: Sequence[str], outcomes: Sequence[float], seed: int) -> list[float] | None:
    """The ends of the interval of a plain mean, as `scores.json` has them; None where `interval` has none."""
    found = interval([stratum(groups, [""] * len(groups), outcomes)], seed)
    return None if found is None else [found.low, found.high]
