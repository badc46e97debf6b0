from __future__ import annotations

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from cityscribe.report.dots import SIZE, WIDTH, DotRow, constant_mark, dot_plot, lanes_of, legend_mark

shares = st.none() | st.floats(0, 1)
rows = st.builds(
    DotRow,
    name=st.text("abc<&\"' ", min_size=1, max_size=9),
    shares=st.lists(shares, min_size=1, max_size=6),
    constant=shares,
    bar=st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda pair: (min(pair), max(pair))),
)


@given(st.lists(rows, min_size=1, max_size=8))
def test_every_share_has_a_mark_inside_the_plot(drawn: list[DotRow]) -> None:
    plot = ET.fromstring(dot_plot("Accuracy", drawn, "right"))
    marks = [mark for mark in plot if mark.get("class", "").startswith("dot ")]
    assert len(marks) == sum(share is not None for row in drawn for share in row.shares)
    for mark in marks:
        first = mark.get("cx") or (mark.get("points") or "").split(",")[0]
        assert 0 <= float(first) <= WIDTH
    texts = [text.text for text in plot if text.tag == "text"]
    assert [row.name for row in drawn] == [text for text in texts if text in {row.name for row in drawn}]


def test_models_differ_in_shape_too() -> None:
    assert len({ET.fromstring(legend_mark(number))[0].attrib.pop("points", "circle") for number in range(5)}) == 5
    assert ET.fromstring(constant_mark())[0].get("class") == "constant"


@given(st.lists(rows, min_size=1, max_size=8))
def test_no_mark_hides_another(drawn: list[DotRow]) -> None:
    centres = []
    for mark in ET.fromstring(dot_plot("Accuracy", drawn, "right")):
        if mark.get("class", "").startswith("dot "):
            corners = [tuple(map(float, pair.split(","))) for pair in mark.get("points", "").split()]
            xs, ys = zip(*corners, strict=True) if corners else ([float(mark.attrib["cx"])], [float(mark.attrib["cy"])])
            centres.append(((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2))
    for place, (x, y) in enumerate(centres):
        assert all(abs(x - a) >= 2 * SIZE or abs(y - b) >= 2 * SIZE for a, b in centres[:place])


def test_the_interval_is_no_mark_s_but_the_first_one_s() -> None:
    assert lanes_of([100.0, 150.0, 300.0], (80.0, 200.0)) == [0, 1, 0]
