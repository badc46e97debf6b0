"""Dot plots as inline SVG: a row for each attribute, a mark for each model, along shares from 0 to 100 %.

Coordinates are those of the view box. A mark's colour comes from its class `m0`, `m1`, ... as on the rest of the page,
its shape from its number, so that marks differ without colours too. Marks that would hide each other stand in lanes
below each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH = 560
LEFT, RIGHT, TOP, BOTTOM = 176, 20, 8, 46  # margins
LANE = 13  # height of a lane; a row has as many as keep its marks apart
GAP = 12  # between the lanes of one row and those of the next
SIZE = 5.5  # half the width of a mark
REACH = 2.4 * SIZE  # the least distance of two marks in one lane: the widest mark is as wide


@dataclass(frozen=True, slots=True)
class DotRow:
    """One row; shares in [0, 1], None for no mark. The bar spans an interval of the first mark."""

    name: str
    shares: Sequence[float | None]
    constant: float | None = None
    bar: tuple[float, float] | None = None


def dot_plot(title: str, rows: Sequence[DotRow], x_label: str) -> Markup:
    """A plot of rows, at least one, from top to bottom."""
    lanes = [
        lanes_of(
            [None if share is None else _x_of(share) for share in row.shares],
            None if row.bar is None else (_x_of(row.bar[0]), _x_of(row.bar[1])),
        )
        for row in rows
    ]
    heights = [LANE * (max(lane, default=0) + 1) + GAP for lane in lanes]
    height = TOP + BOTTOM + sum(heights)
    parts = [
        Markup('<svg class="chart dots" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            WIDTH, height, f"{title}: {len(rows)} rows; the table beside it has the numbers"
        )
    ]
    for percent in range(0, 101, 25):
        x = _number(_x_of(percent / 100))
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x, x, TOP, height - BOTTOM))
        parts.append(_text(x, height - BOTTOM + 18, f"{percent} %", "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, height - 8, x_label, "middle"))
    top = float(TOP)
    for row, lane, tall in zip(rows, lanes, heights, strict=True):
        parts += _row(row, lane, top, tall)
        top += tall
    return Markup("").join([*parts, Markup("</svg>")])


def _row(row: DotRow, lanes: Sequence[int], top: float, height: float) -> list[Markup]:
    def y_of(lane: int) -> float:
        return top + GAP / 2 + LANE * (lane + 0.5)

    parts = [_text(LEFT - 10, top + height / 2 + 4.5, row.name, "end")]
    if row.constant is not None:
        x, ends = _number(_x_of(row.constant)), (_number(top + 3), _number(top + height - 3))
        parts.append(Markup('<line class="constant" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x, x, *ends))
    if row.bar is not None:
        low, high = (_number(_x_of(end)) for end in row.bar)
        y = _number(y_of(lanes[0]))
        parts.append(Markup('<line class="interval m0" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(low, high, y, y))
    for number, (share, lane) in enumerate(zip(row.shares, lanes, strict=True)):
        if share is not None:
            parts.append(_mark(number, _x_of(share), y_of(lane)))
    return parts


def lanes_of(places: Sequence[float | None], bar: tuple[float, float] | None = None) -> list[int]:
    """For each mark the first lane where none before it stands nearer than REACH, 0 for no mark. In lane 0 the bar is
    the first mark's alone."""
    taken: list[list[float]] = []
    found = []
    for number, place in enumerate(places):
        lane = 0
        if place is not None:
            under = number and bar is not None and bar[0] - REACH / 2 < place < bar[1] + REACH / 2
            lane = 1 if under else 0
            while lane < len(taken) and any(abs(place - other) < REACH for other in taken[lane]):
                lane += 1
            taken += [[] for _ in range(lane + 1 - len(taken))]
            taken[lane].append(place)
        found.append(lane)
    return found


def _x_of(share: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * min(max(share, 0.0), 1.0)


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
