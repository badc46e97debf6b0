"""The plot of an ablation: one line an arm, a dot for each seed, a bar at their mean, the interval of the difference.

An arm that lies far from all others, such as one that learnt nothing, would squeeze them together: the axis is that of
the others, and an arrow at its edge says where the far one is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cityscribe.files import whole_file

FAR = 3.0
"""An arm is far where it is farther from the next one than this many times the span of all the others."""

LEAST_SPAN = 1.0
"""Points. Arms that are all alike make none of them far."""

DOT, BAR, INTERVAL, QUIET = "#1f6feb", "#0b1f3a", "#5b6b8c", "#57606a"


@dataclass(frozen=True, slots=True)
class PlotRow:
    """One arm, in points. `interval` is that of its difference from the first arm; None of the first itself."""

    name: str
    scores: tuple[float, ...]  # of each seed
    mean: float
    interval: tuple[float, float] | None


def plot(title: str, rows: Sequence[PlotRow], path: Path) -> None:
    """Write the plot of arms, at least one, as PNG. The interval of a difference is drawn from the first arm's mean."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, 1.5 + 0.46 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    first = rows[0].mean
    near = near_rows(rows)
    ends = [end for row in near for end in (*row.scores, *_interval(row, first))]
    low, high = min(ends), max(ends)
    margin = max(0.08 * (high - low), 0.25)
    low, high = low - margin, high + margin
    for place, row in enumerate(rows):
        if row not in near:
            edge, sign, side = (low, "◂", "left") if row.mean < low else (high, "▸", "right")
            words = f"{sign} {row.mean:.1f}" if side == "left" else f"{row.mean:.1f} {sign}"
            axes.annotate(words, (edge, place), ha=side, va="center", fontsize=9, color=QUIET)
            continue
        if row.interval is not None:
            axes.plot(_interval(row, first), [place] * 2, color=INTERVAL, linewidth=1.4, marker="|", markersize=7)
        axes.plot(row.scores, [place] * len(row.scores), "o", color=DOT, alpha=0.55, markersize=6)
        axes.plot([row.mean] * 2, [place - 0.24, place + 0.24], color=BAR, linewidth=2.2)
        axes.annotate(f"{row.mean:.1f}", (row.mean, place - 0.27), ha="center", va="bottom", fontsize=8)
    axes.axvline(first, color=INTERVAL, linewidth=0.8, linestyle=(0, (2, 3)), zorder=0)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.75)
    axes.set_xlim(low, high)
    seeds = len(rows[0].scores)
    axes.set_xlabel(
        f"score, points: {f'a dot for each of {seeds} seeds, ' if seeds > 1 else ''}a bar at the mean;\n"
        f"line: 95 % interval of the difference from {rows[0].name}, over scenarios",
        fontsize=9,
    )
    axes.set_title(title, fontsize=10, loc="left", wrap=True)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=130, metadata={"Software": ""})


def near_rows(rows: Sequence[PlotRow]) -> list[PlotRow]:
    """The arms that share the axis: all but those that are far, one after the other from either end."""
    found = sorted(rows, key=lambda row: row.mean)
    while len(found) > 2:
        span = max(found[-2].mean - found[0].mean, LEAST_SPAN)
        if found[-1].mean - found[-2].mean > FAR * span:
            found = found[:-1]
            continue
        span = max(found[-1].mean - found[1].mean, LEAST_SPAN)
        if found[1].mean - found[0].mean > FAR * span:
            found = found[1:]
            continue
        break
    return found


def _interval(row: PlotRow, first: float) -> list[float]:
    return [] if row.interval is None else [first + end for end in row.interval]
