from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cityscribe.report.curves import HEIGHT, MOST_POINTS, WIDTH, ChartLine, line_chart, log_ticks, moving_mean, ticks
from cityscribe.report.page import charts
from cityscribe.report.run_files import CurvePoint, EvaluatedModel

values = st.floats(min_value=1e-9, max_value=1e9)


def points(polyline: ET.Element) -> list[tuple[float, float]]:
    pairs = [pair.split(",") for pair in polyline.attrib["points"].split()]
    return [(float(x), float(y)) for x, y in pairs]


def chart(*lines: ChartLine, smooth: bool = False) -> ET.Element:
    return ET.fromstring(line_chart("Loss", lines, "step", "loss (nats)", smooth=smooth))


@given(values)
def test_ticks_are_even_and_end_at_the_highest_value_or_a_step_above(highest: float) -> None:
    found = ticks(highest)
    step = found[1]
    assert found[0] == 0
    assert 3 <= len(found) <= 7
    assert highest * (1 - 1e-6) <= found[-1] < highest + step * (1 + 1e-6)
    assert float(f"{step:.0e}") == float(f"{step:.6e}"), "one digit"


def test_ticks_of_nothing() -> None:
    assert ticks(0) == [0, 1]


@given(st.lists(values, min_size=1, max_size=80), st.floats(0, 1))
def test_moving_mean_keeps_ends_bounds_and_length(series: list[float], share: float) -> None:
    smoothed = moving_mean(series, share)
    assert len(smoothed) == len(series)
    assert (smoothed[0], smoothed[-1]) == (series[0], series[-1])
    slack = 1e-9 * max(series) * len(series)
    assert min(series) - slack <= min(smoothed) <= max(smoothed) <= max(series) + slack


def test_moving_mean_keeps_a_straight_line() -> None:
    line = [0.5 * step for step in range(101)]
    assert max(abs(a - b) for a, b in zip(moving_mean(line, 0.2), line, strict=True)) < 1e-12


def test_a_falling_curve_falls_on_the_page_and_stays_in_its_frame() -> None:
    svg = chart(ChartLine("tuned", 0, [1, 2, 3, 4], [4.0, 2.0, 1.0, 0.5]))
    (line,) = svg.iter("polyline")
    xs, ys = zip(*points(line), strict=True)
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys), "y grows downwards"
    assert min(xs) >= 0
    assert max(xs) <= WIDTH
    assert min(ys) >= 0
    assert max(ys) <= HEIGHT


def test_axes_are_named_and_the_chart_is_told_in_words() -> None:
    svg = chart(ChartLine("tuned", 0, [1, 9], [2.0, 0.25]), ChartLine("blind", 2, [1, 9], [2.5, 1.0]))
    assert {"step", "loss (nats)"} <= {text.text for text in svg.iter("text")}
    assert svg.attrib["aria-label"] == "Loss: tuned from 2 to 0.25 at 9; blind from 2.5 to 1 at 9"
    assert [line.attrib["class"] for line in svg.iter("polyline")] == ["line m0", "line m2"]


def test_a_long_noisy_curve_is_thinned_and_drawn_twice() -> None:
    steps = list(range(1, 5001))
    svg = chart(ChartLine("tuned", 0, steps, [1 / step + step % 2 for step in steps]), smooth=True)
    pale, strong = (points(line) for line in svg.iter("polyline"))
    assert len(pale) == len(strong) <= MOST_POINTS


def test_one_point_and_zeros_are_drawn() -> None:
    (line,) = chart(ChartLine("tuned", 0, [1], [0.0])).iter("polyline")
    assert len(points(line)) == 2


def test_a_name_cannot_leave_its_attribute() -> None:
    svg = chart(ChartLine('"><script>alert(1)</script>', 0, [1], [1.0]))
    assert not list(svg.iter("script"))


@given(st.floats(1e-6, 1e6), st.floats(1.0, 1e6))
def test_log_ticks_enclose_the_values_and_are_few(low: float, factor: float) -> None:
    found = log_ticks(low, low * factor)
    assert found == sorted(set(found))
    assert 2 <= len(found) <= 9
    assert found[0] <= low * (1 + 1e-6)
    assert found[-1] >= low * factor * (1 - 1e-6)


def test_on_a_log_axis_equal_factors_are_equally_far_and_the_floors_are_named_apart() -> None:
    lines = (ChartLine("tuned", 0, [1, 2, 3], [4.0, 2.0, 1.0]), ChartLine("blind", 1, [1, 2, 3], [4.0, 2.0, 1.01]))
    svg = ET.fromstring(line_chart("Loss", lines, "step", "loss", smooth=False, log=True))
    ys = [y for _, y in points(next(svg.iter("polyline")))]
    assert abs((ys[1] - ys[0]) - (ys[2] - ys[1])) < 0.02
    named = {text.text: float(text.attrib["y"]) for text in svg.iter("text") if "floor-value" in text.get("class", "")}
    assert named.keys() == {"1", "1.01"}
    assert abs(named["1"] - named["1.01"]) >= 14
    floors = [line for line in svg.iter("line") if "floor" in line.attrib["class"]]
    assert float(floors[0].attrib["y1"]) == ys[2]


def test_a_loss_of_nothing_has_no_log_axis() -> None:
    svg = ET.fromstring(
        line_chart("Loss", [ChartLine("tuned", 0, [1, 2], [0.0, 0.0])], "step", "loss", smooth=True, log=True)
    )
    assert not [text for text in svg.iter("text") if "floor-value" in text.get("class", "")]


def test_looks_at_val_have_a_chart_of_their_own() -> None:
    curve = tuple(
        CurvePoint(step=step, loss=1.0, val_loss=2.0 / step if step % 10 == 0 else None) for step in range(1, 31)
    )
    tuned = EvaluatedModel(
        name="tuned", captions=None, scores=None, segments=None, attributes=None, problems={}, curve=curve
    )
    loss, looks = (ET.fromstring(drawn) for drawn in charts((tuned,)))
    assert [len(points(line)) for line in loss.iter("polyline") if line.attrib["class"] == "line m0"] == [30]
    (seen,) = [points(line) for line in looks.iter("polyline") if line.attrib["class"] == "line m0"]
    assert len(seen) == 3
    assert seen[0][1] < seen[1][1] < seen[2][1] < HEIGHT  # falls: y is counted from the top
    assert len(charts((replace(tuned, curve=curve[:9]),))) == 1
