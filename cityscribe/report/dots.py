"""Dot plots as inline SVG: a row for each attribute, a mark for each model, along shares from 0 to 100 %.

Coordinates are those of the view box. A mark's colour comes from its class `m0`, `m1`, ... as on the rest of the page,
its shape from its number, so that marks differ without colours too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH = 560
LEFT, RIGHT, TOP, BOTTOM = 176, 20, 8, 46  # margins
ROW = 25
SIZE = 5.5  # half the width of a mark


@dataclass(frozen=True, slots=True)
class DotRow:
    """One row; shares in [0, 1], None for no mark. The bar spans an interval of the first mark."""

    name: str
    shares: Sequence[float | None]
    constant: float | None = None
    bar: tuple[float, float] | None = None


def dot_plot(title: str, rows: Sequence[DotRow], x_label: str) -> Markup:
    """A plot of rows, at least one, from top to bottom."""
    height = TOP + BOTTOM + ROW * len(rows)

    def x_of(share: float) -> str:
        return _number(LEFT + (WIDTH - LEFT - RIGHT) * min(max(share, 0.0), 1.0))

    parts = [
        Markup('<svg class="chart dots" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            WIDTH, height, f"{title}: {len(rows)} rows; the table beside it has the numbers"
        )
    ]
    for percent in range(0, 101, 25):
        x = x_of(percent / 100)
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x, x, TOP, height - BOTTOM))
        parts.append(_text(x, height - BOTTOM + 18, f"{percent} %", "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, height - 8, x_label, "middle"))
    for place, row in enumerate(rows):
        y = TOP + ROW * (place + 0.5)
        parts.append(_text(LEFT - 10, y + 4.5, row.name, "end"))
        if row.bar is not None:
            low, high = map(x_of, row.bar)
            parts.append(Markup('<line class="interval m0" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(low, high, y, y))
        if row.constant is not None:
            x = x_of(row.constant)
            parts.append(Markup('<line class="constant" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x, x, y - 9, y + 9))
        # The first model last, on top of the others.
        for number, share in reversed(list(enumerate(row.shares))):
            if share is not None:
                parts.append(_mark(number, float(x_of(share)), y))
    return Markup("").join([*parts, Markup("</svg>")])


def legend_mark(number: int) -> Markup:
    """The mark of a model for a legend."""
    return Markup('<svg class="mark" viewBox="0 0 16 16" aria-hidden="true">{}</svg>').format(_mark(number, 8, 8))


def constant_mark() -> Markup:
    """The mark of the best constant answer for a legend."""
    line = Markup('<line class="constant" x1="8" x2="8" y1="0" y2="16"/>')
    return Markup('<svg class="mark" viewBox="0 0 16 16" aria-hidden="true">{}</svg>').format(line)


def _mark(number: int, x: float, y: float) -> Markup:
    if number == 0:
        return Markup('<circle class="dot m0" cx="{}" cy="{}" r="{}"/>').format(_number(x), _number(y), SIZE)
    shapes = (
        ((0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)),
        ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        ((0, -1.1), (1.1, 0.9), (-1.1, 0.9)),
        ((0, 1.1), (1.1, -0.9), (-1.1, -0.9)),
    )
    points = " ".join(f"{_number(x + SIZE * a)},{_number(y + SIZE * b)}" for a, b in shapes[(number - 1) % len(shapes)])
    return Markup('<polygon class="dot m{}" points="{}"/>').format(number, points)


def _text(x: float | str, y: float, text: str, anchor: str) -> Markup:
    where = x if isinstance(x, str) else _number(x)
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(where, _number(y), anchor, text)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
