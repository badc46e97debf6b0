"""How sure a difference between two models is: a paired bootstrap over scenarios.

The segments of a scenario are alike (one street, one pedestrian, five phases), so scenarios are what is drawn. Both
models are scored on the same draw; what they find equally hard cancels out. The score of a draw follows the rules of
the profile `wts`: for each domain and road user the mean over segments, then the mean of road users, then of domains.
The drawing itself is that of `evaluate/resampling.py`: a domain is a stratum, a road user a column.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cityscribe.evaluate import resampling
from cityscribe.evaluate.resampling import CONFIDENCE, RESAMPLES, Interval, Paired, Stratum
from cityscribe.report.run_files import SegmentKey
from cityscribe.traffic.scenario import ROLES

__all__ = ["CONFIDENCE", "RESAMPLES", "Interval", "paired_interval", "paired_p_value", "score"]


def score(points: Mapping[SegmentKey, float], domains: Mapping[SegmentKey, str]) -> float:
    """The score of a model, in points. `domains` names the domain of every reference segment; `points` holds those
    that are predicted, the others count as zero."""
    return resampling.mean(_table(points, keys) for keys in _by_domain(domains))


def paired_interval(
    points: Mapping[SegmentKey, float], other: Mapping[SegmentKey, float], domains: Mapping[SegmentKey, str], seed: int
) -> Interval | None:
    """The interval of the score of `points` minus that of `other`, or None where a domain has fewer than two scenarios.

    Each domain keeps its number of scenarios; they are drawn with replacement. Arguments as for `score`.
    """
    return resampling.paired_interval(_paired(points, other, domains), seed)


def paired_p_value(
    points: Mapping[SegmentKey, float], other: Mapping[SegmentKey, float], domains: Mapping[SegmentKey, str], seed: int
) -> float | None:
    """How often exchanging the two models in a random half of the scenarios makes a difference as large as theirs.

    A two-sided paired permutation test, from 1 / (`RESAMPLES` + 1) to 1; None where there are fewer than two scenarios.
    Arguments as for `score`.
    """
    return resampling.paired_p_value(_paired(points, other, domains), seed)


def _paired(
    points: Mapping[SegmentKey, float], other: Mapping[SegmentKey, float], domains: Mapping[SegmentKey, str]
) -> list[Paired]:
    tables = ((_table(points, keys), _table(other, keys)) for keys in _by_domain(domains))
    return [Paired(first.sums, second.sums, first.counts) for first, second in tables]


def _by_domain(domains: Mapping[SegmentKey, str]) -> list[list[SegmentKey]]:
    return [sorted(key for key in domains if domains[key] == domain) for domain in sorted(set(domains.values()))]


def _table(points: Mapping[SegmentKey, float], keys: list[SegmentKey]) -> Stratum:
    """Points and numbers of segments, both [scenarios, roles]; roles without any segment are left out."""
    scenarios = {name: row for row, name in enumerate(sorted({scenario for scenario, _, _ in keys}))}
    sums, counts = np.zeros((2, len(scenarios), len(ROLES)))
    for key in keys:
        place = scenarios[key[0]], ROLES.index(key[2])
        sums[place] += points.get(key, 0.0)
        counts[place] += 1
    present = counts.any(axis=0)
    return Stratum(sums[:, present], counts[:, present])
