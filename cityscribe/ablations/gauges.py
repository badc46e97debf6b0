"""The plot of a gauge against a gain: how far pairs were from their model, and what learning from them was worth.

The gauge is the log-ratio of chosen and rejected answers by the model before the training (`training/gauge.json`). The
gain is what came to be right less what came to be contradicted, against the first arm with the same seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cityscribe.ablations.measures import ArmMeasures
from cityscribe.ablations.plot import INTERVAL
from cityscribe.files import read_json, whole_file

COLOURS = ("#1f6feb", "#c2410c", "#15803d", "#7c3aed", "#be185d", "#0f766e", "#a16207", "#475569")
MARKS = "osD^vP*X"


@dataclass(frozen=True, slots=True)
class Gauged:
    """A run of an arm that learned from pairs."""

    arm: str
    log_ratio: float  # nats
    gain: float  # points


def gauges(runs: Mapping[str, Sequence[Path]], measured: ArmMeasures) -> list[Gauged]:
    """Those of the runs, one a seed of each arm, that have a gauge."""
    first = next(iter(measured.arms))
    found = []
    for arm, folders in runs.items():
        for seed, folder in enumerate(folders):
            file = folder / "training" / "gauge.json"
            if file.is_file() and arm != first:
                gain = _worth(measured, arm, seed) - _worth(measured, first, seed)
                found.append(Gauged(arm, float(read_json(file)["log_ratio"]), gain))
    return found


def _worth(measured: ArmMeasures, arm: str, seed: int) -> float:
    found = measured.arms[arm]
    return found["right"].by_seed[seed] - found["contradicted"].by_seed[seed]


def plot_gauges(title: str, rows: Sequence[Gauged], first: str, path: Path) -> None:
    """Write the plot of runs, at least one, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for number, arm in enumerate(dict.fromkeys(row.arm for row in rows)):
        own = [row for row in rows if row.arm == arm]
        axes.plot(
            [row.log_ratio for row in own],
            [row.gain for row in own],
            MARKS[number % len(MARKS)],
            color=COLOURS[number % len(COLOURS)],
            alpha=0.75,
            markersize=7,
            label=arm,
        )
    axes.axhline(0, color=INTERVAL, linewidth=0.8, linestyle=(0, (2, 3)), zorder=0)
    axes.axvline(0, color=INTERVAL, linewidth=0.8, linestyle=(0, (2, 3)), zorder=0)
    axes.set_xlabel(
        "log-ratio of chosen and rejected answers before the training, nats; a dot for each seed", fontsize=9
    )
    axes.set_ylabel(f"right less contradicted,\npoints against {first}", fontsize=9)
    axes.set_title(title, fontsize=10, loc="left", wrap=True)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=130, metadata={"Software": ""})
