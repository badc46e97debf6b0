"""Tables of results as text for a terminal and as Markdown, and how numbers in them are written."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row, the first cell flush left and the others flush right, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip()
        for row in rows
    ]


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column flush left, the others flush right."""
    table = [heads, ("---", *["---:"] * (len(heads) - 1)), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in table)


def written_p(value: float | None) -> str:
    """A p-value with four places below 0.01, else with two; empty where there is none."""
    return "" if value is None else f"{value:.{4 if value < 0.01 else 2}f}"
