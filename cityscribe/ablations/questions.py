"""The arms of an ablation on a set of questions: what their answers are worth, and the differences.

The score of a question is what a reward gives its answer; an arm's is the mean over the questions of a set, averaged
attribute by attribute. The statistics are those of a ladder (`ladder/results.py`): outcomes of the seeds averaged
question by question, intervals over images. The line that always gives the commonest training answer of an attribute
looks at nothing; it is there where each attribute has been trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from cityscribe.ablations.plot import PlotRow, plot
from cityscribe.evaluate.text_tables import aligned, markdown, written_p
from cityscribe.files import write_json, write_text
from cityscribe.ladder.arms import LadderArm
from cityscribe.ladder.results import AskedRun, LadderRow, between, compared, csv_table
from cityscribe.rewards.reward import Reward


def compare_answers(runs: Mapping[str, Sequence[AskedRun]], first: str, score: Reward) -> list[LadderRow]:
    """A row for each arm whose runs are there, the first one first; and one for the commonest answers.

    Raises InputError where arms were asked different questions.
    """
    others = [LadderArm(name, "beside", {}, first) for name in runs if name != first]
    return compared([LadderArm(first, "up", {}), *others], runs, score, {})


def write_answers(folder: Path, name: str, about: str, rows: Sequence[LadderRow]) -> None:
    """Write `results.json`, `table.txt`, `table.md`, `table.csv` (with each attribute) and `scores.png`."""
    write_json(folder / "results.json", {"name": name, "about": about, "arms": [asdict(row) for row in rows]})
    for suffix, text in (("txt", answers_text(rows)), ("md", answers_markdown(rows)), ("csv", csv_table(rows))):
        write_text(folder / f"table.{suffix}", text)
    plot(about or name, [_plotted(row) for row in rows], folder / "scores.png")


HEADS = ("arm", "right", "spread over seeds", "against the first", "by seed", "95 % of draws", "p")


def answers_text(rows: Sequence[LadderRow]) -> str:
    return "".join(f"{line}\n" for line in aligned([HEADS, *(_cells(row, rows[0]) for row in rows)]))


def answers_markdown(rows: Sequence[LadderRow]) -> str:
    return markdown(HEADS, [_cells(row, rows[0]) for row in rows])


def _cells(row: LadderRow, first: LadderRow) -> tuple[str, ...]:
    """In per cent."""
    spread = f"{100 * float(np.std(row.by_seed, ddof=1)):.1f}" if len(row.by_seed) > 1 else ""
    if row.change is None:
        return (row.arm.name, f"{100 * row.mean:.1f}", spread, "", "", "", "")
    by_seed = ", ".join(f"{100 * (own - other):+.1f}" for own, other in zip(row.by_seed, first.by_seed, strict=True))
    change = between(row.change_interval, signed=True)
    return (
        row.arm.name,
        f"{100 * row.mean:.1f}",
        spread,
        f"{100 * row.change:+.1f}",
        by_seed,
        change,
        written_p(row.p_value),
    )


def _plotted(row: LadderRow) -> PlotRow:
    interval = row.change_interval
    ends = None if interval is None else (100 * interval.low, 100 * interval.high)
    return PlotRow(row.arm.name, tuple(100 * each for each in row.by_seed), 100 * row.mean, ends)
