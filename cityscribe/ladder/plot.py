"""The picture of a ladder: the mean of each arm with its interval, the tasks as letters, cost beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cityscribe.files import whole_file
from cityscribe.ladder.results import LadderRow

COLOURS = {"up": "#0b1f3a", "back": "#9a4b00", "beside": "#57606a"}
PARTS = {"up": "step by step", "back": "all steps but one", "beside": "beside a step"}
MARKS = "osD^vP*X"


def plot_ladder(title: str, rows: Sequence[LadderRow], path: Path) -> None:
    """Write the picture of rows, at least one, as PNG. Shares are shown in per cent."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    costs = any(row.cost is not None for row in rows)
    places = _places(rows)
    figure = Figure(figsize=(11 if costs else 8, 1.9 + 0.38 * (places[-1] + 1)), layout="constrained")
    FigureCanvasAgg(figure)
    ratios = [5, 1.2, 1.2] if costs else [1]
    panels = figure.subplots(1, len(ratios), sharey=True, width_ratios=ratios, squeeze=False)[0]
    scores = panels[0]
    for place, row in zip(places, rows, strict=True):
        colour = COLOURS[row.arm.part]
        for mark, (task, share) in zip(MARKS, row.tasks.items(), strict=False):
            label = task if place == places[0] else None
            scores.plot(100 * share, place, mark, color="#1f6feb", alpha=0.45, markersize=6, label=label)
        if row.interval is not None:
            ends = [100 * row.interval.low, 100 * row.interval.high]
            scores.plot(ends, [place] * 2, color=colour, linewidth=1.6, marker="|", markersize=8)
        scores.plot(100 * row.mean, place, "s", color=colour, markersize=7)
        scores.annotate(f"{100 * row.mean:.1f}", (100 * row.mean, place - 0.22), ha="center", va="bottom", fontsize=8)
        if costs and row.cost is not None:
            for panel, value in zip(panels[1:], (row.cost.answers_per_s, row.cost.model_mb), strict=True):
                panel.barh(place, value, color=colour, height=0.55, alpha=0.75)
                panel.annotate(f"{value:.1f}", (value, place), ha="left", va="center", fontsize=8, xytext=(2, 0),
                               textcoords="offset points")  # fmt: skip
    scores.set_yticks(places, [row.arm.name for row in rows])
    scores.set_ylim(places[-1] + 0.6, -0.8)
    scores.set_xlim(0, 102)
    scores.set_xlabel("right, %: marks are tasks, squares their mean,\nlines the 95 % interval of the mean over images")
    scores.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(rows[0].tasks), frameon=False)
    scores.grid(axis="x", color="#dddddd", linewidth=0.6)
    scores.set_axisbelow(True)
    for panel, label in zip(
        panels[1:], ("answers a second\nof processor time", "weights in\nmemory, MB"), strict=False
    ):
        panel.set_xlabel(label)
        panel.margins(x=0.3)
        panel.tick_params(left=False)
    for panel in panels:
        for side in ("top", "right", "left"):
            panel.spines[side].set_visible(False)
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=130, metadata={"Software": ""})


def _places(rows: Sequence[LadderRow]) -> list[float]:
    """Where each row stands, with a gap between the parts."""
    places, place = [], 0.0
    for n, row in enumerate(rows):
        if n and row.arm.part != rows[n - 1].arm.part:
            place += 0.6
        places.append(place)
        place += 1
    return places
