"""What a comparison of runs found: what `compare` makes and pages show."""

from __future__ import annotations

from dataclasses import dataclass

from cityscribe.report.bootstrap import Interval
from cityscribe.report.moves import Move
from cityscribe.report.run_files import Run


@dataclass(frozen=True, slots=True)
class Change:
    """One segment in two runs, in points."""

    segment: str  # SCENARIO/PHASE/ROLE
    first: float
    other: float


@dataclass(frozen=True, slots=True)
class ComparedWith:
    """One run against the first."""

    name: str
    score: float
    difference: float
    interval: Interval | None
    p_value: float | None  # of exchanging the two runs, corrected over all comparisons
    gained: tuple[Change, ...]  # segments in which it is better, most first
    lost: tuple[Change, ...]
    attributes: tuple[Move, ...]  # by how far accuracy moved, in percent
    kinds: tuple[Move, ...]  # by how far the points of a kind of segment moved


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs as the models of one, the first before the others."""

    run: Run
    first: str
    score: float
    others: tuple[ComparedWith, ...]
    settings: dict[str, tuple[str, ...]]  # those that differ, by run; empty for a run without `project.yaml`
