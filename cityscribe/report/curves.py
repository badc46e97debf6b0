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
FLOOR = 56  # the margin at the right of a chart that names the floors of its lines
APART = 15  # pixels from one such name to the next
NEAR_ZERO = 1e-9  # what a logarithmic axis does not show

MOST_POINTS = 400
"""Of one line; more than pixels would only make the page heavy. Neighbours are averaged."""

SMOOTHING = 1 / 20
"""Of the points of a line: the width of the moving mean."""


@dataclass(frozen=True, slots=True)
class ChartLine:
    """One line of a chart: y over x, in order of x."""

    name: str
    number: int  # of the model on the page, from 0
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True, slots=True)
class Axis:
    """The y axis of a chart: its marks from the lowest upwards, and where a value stands."""

    ticks: Sequence[float]
    log: bool

    def y_of(self, value: float) -> float:
        """Pixels from the top; what lies below the axis stands on its lower end."""
        low, high = self.ticks[0], self.ticks[-1]
        value = max(value, low)
        share = math.log(value / low) / math.log(high / low) if self.log else (value - low) / (high - low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def line_chart(
    title: str, lines: Sequence[ChartLine], x_label: str, y_label: str, *, smooth: bool, log: bool = False
) -> Markup:
    """A chart of lines that each have a point. With `smooth` each is drawn as its moving mean, and the values
    themselves pale behind it.

    The y axis is linear from zero, or with `log` logarithmic around the positive values; then the floor of each line,
    the lowest value of its strong line, is drawn and named at the right. Without a value above NEAR_ZERO it is linear.
    """
    lines = [_thinned(line) for line in lines]
    strong = [moving_mean(line.ys, SMOOTHING) if smooth else list(line.ys) for line in lines]
    positive = [value for line in lines for value in line.ys if value > NEAR_ZERO]
    log = log and bool(positive)
    axis = Axis(log_ticks(min(positive), max(positive)) if log else ticks(max(max(line.ys) for line in lines)), log)
    x_ticks = ticks(max(max(line.xs) for line in lines))
    x_end, right = max(*(line.xs[-1] for line in lines), x_ticks[1]), WIDTH - (FLOOR if log else RIGHT)

    def x_of(value: float) -> str:
        return _number(LEFT + (right - LEFT) * value / x_end)

    def path(xs: Sequence[float], ys: Sequence[float], kind: str, number: int) -> Markup:
        points = [f"{x_of(x)},{_number(axis.y_of(y))}" for x, y in zip(xs, ys, strict=True)]
        if len(points) == 1:
            points *= 2  # the round ends of a line without length make a dot
        return Markup('<polyline class="{} m{}" points="{}"/>').format(kind, number, " ".join(points))

    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            WIDTH, HEIGHT, _in_words(title, lines)
        )
    ]
    for value in axis.ticks:
        y = _number(axis.y_of(value))
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(LEFT, right, y, y))
        parts.append(_label(LEFT - 8, y, f"{value:g}", "end", dy="0.35em"))
    for value in x_ticks:
        if value <= x_end:
            parts.append(_label(x_of(value), HEIGHT - BOTTOM + 20, f"{value:g}", "middle"))
    parts.append(_label((LEFT + right) / 2, HEIGHT - 8, x_label, "middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        Markup('<text text-anchor="middle" transform="translate(16 {}) rotate(-90)">{}</text>').format(
            _number(middle), y_label
        )
    )
    for line, mean in zip(lines, strong, strict=True):
        if mean != list(line.ys):
            parts.append(path(line.xs, line.ys, "pale", line.number))
        parts.append(path(line.xs, mean, "line", line.number))
    if log:
        parts += _floors(lines, [min(mean) for mean in strong], axis, right)
    return Markup("").join([*parts, Markup("</svg>")])


def _floors(lines: Sequence[ChartLine], floors: Sequence[float], axis: Axis, right: float) -> list[Markup]:
    """A thin line at the floor of each line, and its value beside it, moved where it would stand on another."""
    parts = []
    free = float(HEIGHT)
    for line, floor in sorted(zip(lines, floors, strict=True), key=lambda pair: pair[1]):
        y = axis.y_of(floor)
        free = min(y, free - APART)
        parts.append(
            Markup('<line class="floor m{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                line.number, LEFT, right, _number(y), _number(y)
            )
        )
        parts.append(
            Markup('<text class="floor-value m{}" x="{}" y="{}" dy="0.35em">{}</text>').format(
                line.number, right + 6, _number(free), f"{floor:.3g}"
            )
        )
    return parts


def log_ticks(low: float, high: float) -> list[float]:
    """Round values (1, 2 and 5 times powers of ten) from the last not above `low` to the first not below `high`, both
    positive; powers of ten alone, or some of them, where these were more than eight."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1
    for factors, step in (((1, 2, 5), 1), ((1,), 1), ((1,), math.ceil((last - first) / 7))):
        marks = [float(f"{factor}e{power}") for power in range(first, last + step, step) for factor in factors]
        start = max((place for place, mark in enumerate(marks) if mark <= low * (1 + 1e-9)), default=0)
        end = next(place for place, mark in enumerate(marks) if mark >= high * (1 - 1e-9) and place > start)
        if end - start < 8:
            break
    return marks[start : end + 1]


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


def _thinned(line: ChartLine) -> ChartLine:
    size = math.ceil(len(line.xs) / MOST_POINTS)
    xs, ys = (
        [math.fsum(side[start : start + size]) / len(side[start : start + size]) for start in range(0, len(side), size)]
        for side in (line.xs, line.ys)
    )
    return ChartLine(line.name, line.number, xs, ys)


def _in_words(title: str, lines: Sequence[ChartLine]) -> str:
    ends = [f"{line.name} from {line.ys[0]:.3g} to {line.ys[-1]:.3g} at {line.xs[-1]:g}" for line in lines]
    return f"{title}: {'; '.join(ends)}"


def _label(x: float | str, y: float | str, text: str, anchor: str, dy: str = "0") -> Markup:
    return Markup('<text x="{}" y="{}" dy="{}" text-anchor="{}">{}</text>').format(x, y, dy, anchor, text)


def _number(value: float) -> str:
    """Two decimals are a fiftieth of a pixel, and equal on all machines."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
