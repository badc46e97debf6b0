"""How sure a difference between two models is: a paired bootstrap over scenarios.

The segments of a scenario are alike (one street, one pedestrian, five phases), so scenarios are what is drawn. Both
models are scored on the same draw; what they find equally hard cancels out. The score of a draw follows the rules of
the profile `wts`: for each domain and road user the mean over segments, then the mean of road users, then of domains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cityscribe.records import ROLES
from cityscribe.report.run_files import SegmentKey

RESAMPLES = 5000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """The middle `CONFIDENCE` of the score differences of all draws, in points."""

    low: float
    high: float


def score(points: Mapping[SegmentKey, float], domains: Mapping[SegmentKey, str]) -> float:
    """The score of a model, in points. `domains` names the domain of every reference segment; `points` holds those
    that are predicted, the others count as zero."""
    return float(np.mean([_domain_scores(*_sums(points, keys), None) for keys in _by_domain(domains)]))


def paired_interval(
    points: Mapping[SegmentKey, float], other: Mapping[SegmentKey, float], domains: Mapping[SegmentKey, str], seed: int
) -> Interval | None:
    """The interval of the score of `points` minus that of `other`, or None where a domain has fewer than two scenarios.

    Each domain keeps its number of scenarios; they are drawn with replacement. Arguments as for `score`.
    """
    rng = np.random.default_rng(seed)
    differences = []
    for keys in _by_domain(domains):
        first, counts = _sums(points, keys)
        second, _ = _sums(other, keys)
        scenarios = len(counts)
        if scenarios < 2:
            return None
        drawn = rng.multinomial(scenarios, np.full(scenarios, 1 / scenarios), size=RESAMPLES).astype(np.float64)
        differences.append(_domain_scores(first, counts, drawn) - _domain_scores(second, counts, drawn))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.mean(differences, axis=0), [tail, 1 - tail])
    return Interval(float(low), float(high))


def paired_p_value(
    points: Mapping[SegmentKey, float], other: Mapping[SegmentKey, float], domains: Mapping[SegmentKey, str], seed: int
) -> float | None:
    """How often exchanging the two models in a random half of the scenarios makes a difference as large as theirs.

    A two-sided paired permutation test, from 1 / (`RESAMPLES` + 1) to 1; None where there are fewer than two scenarios.
    Arguments as for `score`.
    """
    rng = np.random.default_rng(seed)
    exchanged = observed = 0.0
    scenarios = 0
    groups = _by_domain(domains)
    for keys in groups:
        first, counts = _sums(points, keys)
        difference = first - _sums(other, keys)[0]
        signs = rng.choice([-1.0, 1.0], size=(RESAMPLES, len(counts)))
        segments = counts.sum(axis=0)
        exchanged = exchanged + (signs @ difference / segments).mean(axis=1) / len(groups)
        observed += float((difference.sum(axis=0) / segments).mean()) / len(groups)
        scenarios += len(counts)
    if scenarios < 2:
        return None
    # A hair of tolerance, because sums of the same numbers in another order differ in their last digit.
    as_large = np.count_nonzero(np.abs(exchanged) >= abs(observed) * (1 - 1e-9))
    return (1 + int(as_large)) / (RESAMPLES + 1)


def _by_domain(domains: Mapping[SegmentKey, str]) -> list[list[SegmentKey]]:
    return [sorted(key for key in domains if domains[key] == domain) for domain in sorted(set(domains.values()))]


def _sums(points: Mapping[SegmentKey, float], keys: list[SegmentKey]) -> tuple[np.ndarray, np.ndarray]:
    """Points and numbers of segments, both [scenarios, roles]; roles without any segment are left out."""
    scenarios = {name: row for row, name in enumerate(sorted({scenario for scenario, _, _ in keys}))}
    sums, counts = np.zeros((2, len(scenarios), len(ROLES)))
    for key in keys:
        place = scenarios[key[0]], ROLES.index(key[2])
        sums[place] += points.get(key, 0.0)
        counts[place] += 1
    present = counts.any(axis=0)
    return sums[:, present], counts[:, present]


def _domain_scores(sums: np.ndarray, counts: np.ndarray, drawn: np.ndarray | None) -> np.ndarray:
    """The score of a domain in each draw. `drawn` [draws, scenarios] says how often each scenario is taken, None once.

    A draw that has no segment of a road user is scored by the other one alone.
    """
    total, number = (sums.sum(axis=0), counts.sum(axis=0)) if drawn is None else (drawn @ sums, drawn @ counts)
    means = np.divide(total, number, out=np.zeros_like(total), where=number > 0)
    return means.sum(axis=-1) / (number > 0).sum(axis=-1)
