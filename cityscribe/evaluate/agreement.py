"""How far two judges agree: Cohen's kappa on yes and no, correlation on scores.

Only what both could be read on is compared; how much that is stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cityscribe.evaluate.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Agreement:
    """What two judges have in common; None for what cannot be computed."""

    items: int
    both_read: int
    agreement: float | None
    kappa: float | None
    table: list[list[int]] | None
    pearson: float | None
    spearman: float | None
    difference: float | None


def agreement(first: Sequence[Verdict], second: Sequence[Verdict]) -> Agreement:
    """The agreement on the same items in the same order. What cannot be computed (no verdicts, or no variance) is None.

    `kappa` is Cohen's (1960), `pearson` and `spearman` are of the scores, `difference` is the mean of the second's
    scores minus that of the first's. `table` counts the verdicts, the first judge's yes and no in its rows.
    """
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a.score is not None and b.score is not None]
    judged = [(a.correct, b.correct) for a, b in pairs if a.correct is not None and b.correct is not None]
    scores = np.array([(a.score, b.score) for a, b in pairs], dtype=np.float64).reshape(-1, 2)
    table = [[sum(pair == (a, b) for pair in judged) for b in (True, False)] for a in (True, False)]
    return Agreement(
        items=len(first),
        both_read=len(pairs),
        agreement=(table[0][0] + table[1][1]) / len(judged) if judged else None,
        kappa=kappa(np.array(table)) if judged else None,
        table=table if judged else None,
        pearson=correlation(scores[:, 0], scores[:, 1]),
        spearman=correlation(ranks(scores[:, 0]), ranks(scores[:, 1])),
        difference=float((scores[:, 1] - scores[:, 0]).mean()) if len(pairs) else None,
    )


def kappa(table: np.ndarray) -> float | None:
    """Cohen's kappa of a square table of counts; None where chance alone would agree always."""
    total = table.sum()
    observed = np.trace(table) / total
    expected = float((table.sum(axis=0) * table.sum(axis=1)).sum() / total**2)
    return None if expected == 1 else float((observed - expected) / (1 - expected))


def correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Pearson's correlation; None for fewer than two values or where one side does not vary."""
    if len(first) < 2 or first.std() == 0 or second.std() == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each value, equal ones at the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return (last - (counts - 1) / 2)[inverse]
