"""Line charts as inline SVG that follow the page's colours, light and dark.

Coordinates are those of the view box, WIDTH x HEIGHT. A line's colour and dashes come from its class `m0`, `m1`, ... in
the style sheet, the same as of the model everywhere on the page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 66, 16, 14, 52  # margins

MOST_POINTS = 400
"""Of one line; more than pixels would only make the page heavy. Neighbours are averaged."""

SMOOTHING = 1 / 20
"""Of the points of a line: the width of the moving mean."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: y over x, in order of x."""

    name: str
    number: int  # of the model on the page, from 0
    xs: Sequence[float]
    ys: Sequence[float]


def line_chart(title: str, lines: Sequence[Line], x_label: str, y_label: str, *, smooth: bool) -> Markup:
    """A chart from zero upwards of lines that each have a point. With `smooth` each is drawn as its moving mean, and
    the values themselves pale behind it."""
    lines = [_thinned(line) for line in lines]
    x_ticks = ticks(max(max(line.xs) for line in lines))
    y_ticks = ticks(max(max(line.ys) for line in lines))
    x_end, y_end = max(*(line.xs[-1] for line in lines), x_ticks[1]), y_ticks[-1]

    def x_of(value: float) -> str:
        return _number(LEFT + (WIDTH - LEFT - RIGHT) * value / x_end)

    def y_of(value: float) -> str:
        return _number(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / y_end)

    def path(xs: Sequence[float], ys: Sequence[float], kind: str, number: int) -> Markup:
        points = [f"{x_of(x)},{y_of(y)}" for x, y in zip(xs, ys, strict=True)]
        if len(points) == 1:
            points *= 2  # the round ends of a line without length make a dot
        return Markup('<polyline class="{} m{}" points="{}"/>').format(kind, number, " ".join(points))

    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            WIDTH, HEIGHT, _in_words(title, lines)
        )
    ]
    for value in y_ticks:
        y = y_of(value)
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(LEFT, WIDTH - RIGHT, y, y))
        parts.append(_label(LEFT - 8, y, f"{value:g}", "end", dy="0.35em"))
    for value in x_ticks:
        if value <= x_end:
            parts.append(_label(x_of(value), HEIGHT - BOTTOM + 20, f"{value:g}", "middle"))
    parts.append(_label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_label, "middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        Markup('<text text-anchor="middle" transform="translate(16 {}) rotate(-90)">{}</text>').format(
            _number(middle), y_label
        )
    )
    for line in lines:
        smoothed = moving_mean(line.ys, SMOOTHING) if smooth else line.ys
        if smoothed != list(line.ys):
            parts.append(path(line.xs, line.ys, "pale", line.number))
        parts.append(path(line.xs, smoothed, "line", line.number))
    return Markup("").join([*parts, Markup("</svg>")])


def ticks(highest: float) -> list[float]:
    """Round values from 0 to the first that is not below the highest, four to seven of them; [0, 1] for 0."""
    if highest <= 0:
        return [0.0, 1.0]
    rough = highest / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough * (1 - 1e-9))
    return [index * step for index in range(math.ceil(highest / step * (1 - 1e-9)) + 1)]


def moving_mean(values: Sequence[float], share: float) -> list[float]:
    """The mean of each value and its neighbours, `share` of all together; fewer at the ends, as many on both sides."""
    reach = int(len(values) * share / 2)
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    means = []
    for index, value in enumerate(values):
        side = min(reach, index, len(values) - 1 - index)
        means.append((sums[index + side + 1] - sums[index - side]) / (2 * side + 1) if side else value)
    return means


def _thinned(line: Line) -> Line:
    size = math.ceil(len(line.xs) / MOST_POINTS)
    xs, ys = (
        [math.fsum(side[start : start + size]) / len(side[start : start + size]) for start in range(0, len(side), size)]
        for side in (line.xs, line.ys)
    )
    return Line(line.name, line.number, xs, ys)


def _in_words(title: str, lines: Sequence[Line]) -> str:
    ends = [f"{line.name} from {line.ys[0]:.3g} to {line.ys[-1]:.3g} at {line.xs[-1]:g}" for line in lines]
    return f"{title}: {'; '.join(ends)}"


def _label(x: float | str, y: float | str, text: str, anchor: str, dy: str = "0") -> Markup:
    return Markup('<text x="{}" y="{}" dy="{}" text-anchor="{}">{}</text>').format(x, y, dy, anchor, text)


def _number(value: float) -> str:
    """Two decimals are a fiftieth of a pixel, and equal on all machines."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
