"""What moved between runs: which attributes and which kinds of segment, by how much and how surely.

Each difference has its interval from drawing scenarios and its p-value from exchanging the runs scenario by scenario,
corrected by Holm's method over all attributes (or all kinds) of all runs that are compared: among dozens of rows some
would look sure by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cityscribe.evaluate.resampling import Interval, Paired, Stratum, holm, mean, paired_interval, paired_p_value
from cityscribe.report import breakdowns
from cityscribe.report.attribute_tables import outcomes
from cityscribe.report.run_files import Run
from cityscribe.report.tables import segment_points

SURE = 0.05
"""A corrected p-value up to this is marked."""


@dataclass(frozen=True, slots=True)
class Move:
    """One attribute or kind of segment in two runs: accuracies in percent, or points."""

    name: str
    segments: int
    first: float
    other: float
    interval: Interval | None  # of the difference, None where one scenario has them all
    p_value: float | None  # corrected
    moved: bool  # in any scenario

    @property
    def difference(self) -> float:
        return self.other - self.first

    @property
    def sure(self) -> bool:
        return self.p_value is not None and self.p_value <= SURE


def attribute_moves(run: Run, seed: int) -> dict[str, tuple[Move, ...]]:
    """For each run after the first, the accuracy of each attribute in percent, the largest difference first; nothing
    for a run without attribute scores."""
    tables: dict[str, list[tuple[str, Stratum, Stratum]]] = {model.name: [] for model in run.baselines}
    if run.tuned.attributes is not None:
        for model in run.baselines:
            if model.attributes is not None:
                for row in run.tuned.attributes.attributes:
                    pair = (outcomes(run.tuned, row.attribute), outcomes(model, row.attribute))
                    tables[model.name].append((row.attribute, *pair))
    return _moves(tables, 100.0, seed)


def kind_moves(run: Run, seed: int) -> dict[str, tuple[Move, ...]]:
    """For each run after the first, the mean points of each kind of segment, the largest difference first."""
    tables: dict[str, list[tuple[str, Stratum, Stratum]]] = {model.name: [] for model in run.baselines}
    own = segment_points(run.tuned) or {}
    for model in run.baselines:
        other = segment_points(model) or {}
        for kind, groups in breakdowns.kinds(run).items():
            for value, keys in groups.items():
                pair = (breakdowns.outcomes(own, keys), breakdowns.outcomes(other, keys))
                tables[model.name].append((f"{kind}: {value}", *pair))
    return _moves(tables, 1.0, seed)


def _moves(
    tables: dict[str, list[tuple[str, Stratum, Stratum]]], scale: float, seed: int
) -> dict[str, tuple[Move, ...]]:
    """The moves by run; `tables` hold the name of a row and the outcomes of the first run and of the other."""
    found = {name: [_move(*row, scale, seed) for row in rows] for name, rows in tables.items()}
    corrected = iter(holm([move.p_value for moves in found.values() for move in moves]))
    return {name: _sorted([replace(move, p_value=next(corrected)) for move in moves]) for name, moves in found.items()}


def _move(name: str, first: Stratum, other: Stratum, scale: float, seed: int) -> Move:
    pair = [Paired(other.sums * scale, first.sums * scale, first.counts)]
    return Move(
        name=name,
        segments=int(first.counts.sum()),
        first=scale * mean([first]),
        other=scale * mean([other]),
        interval=paired_interval(pair, seed),
        p_value=paired_p_value(pair, seed),
        moved=bool((first.sums != other.sums).any()),
    )


def _sorted(moves: Sequence[Move]) -> tuple[Move, ...]:
    return tuple(sorted(moves, key=lambda move: (-abs(move.difference), move.name)))
