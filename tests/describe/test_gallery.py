"""The page of a table, as a browser shows it from a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from cityscribe.describe.gallery import to_html
from cityscribe.describe.rows import Described, DescribedRow, of_entry, to_csv, to_entry
from tests.inert import EVIL, assert_inert
from tests.serve.chromium import CHROMIUM, browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    Image.new("RGB", (64, 36), "teal").save(folder / "0.jpg")
    rows = [
        DescribedRow(
            "a.mp4",
            "overhead",
            1,
            0.0,
            5.0,
            "",
            2.5,
            {"pedestrian": _seen(0.4), "vehicle": _seen(0.9)},
            picture="0.jpg",
        ),
        DescribedRow(
            "b.mp4", "overhead", 1, 0.0, 5.0, "", 2.5, {"pedestrian": _none(), "vehicle": _seen(0.2)}, picture="0.jpg"
        ),
        DescribedRow("c.mp4", problem=f"cannot be read: {EVIL}"),
    ]
    assert [of_entry(to_entry(row)) for row in rows] == rows
    assert EVIL.replace('"', '""') in to_csv(rows)
    (folder / "index.html").write_text(to_html(rows, folder, f"clips {EVIL}", "tiny"), encoding="utf-8")
    return folder / "index.html"


def _row(clip: str, users: dict[str, Described]) -> DescribedRow:
    return DescribedRow(clip, "overhead", 1, 0.0, 5.0, "", 2.5, users, picture="0.jpg")


def _seen(confidence: float) -> Described:
    return Described(True, "model", 0.9, f"Somebody walks. {EVIL}", confidence, {"sex": "male"})


def _none() -> Described:
    return Described(False, "model", 0.1)


def test_nothing_of_it_becomes_markup(page: Path) -> None:
    text = page.read_text("utf-8")
    assert_inert(text, shown=5)
    assert text.count("none found") == 1


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_it_sorts_and_filters_from_a_file_and_fits_a_phone(page: Path, tmp_path: Path) -> None:
    with browser(tmp_path) as shown:
        shown.open(page.as_uri(), (390, 844))
        order = "Array.from(document.querySelectorAll('.card:not([hidden]) h2'), (e) => e.textContent).join(' ')"
        assert shown.run(order) == "a.mp4 b.mp4 c.mp4"
        found = "const found = document.getElementById(id); found.value = value;"
        choose = f"(id, value) => {{ {found} found.dispatchEvent(new Event('change')) }}"
        shown.run(f"({choose})('order', 'unsure')")
        assert shown.run(order) == "b.mp4 a.mp4 c.mp4"
        shown.run(f"({choose})('order', 'problem')")
        assert shown.run(order) == "c.mp4 a.mp4 b.mp4"
        shown.run(f"({choose})('show', 'pedestrian')")
        assert shown.run(order) == "a.mp4"
        assert shown.run("document.documentElement.scrollWidth") <= 390
        assert shown.complaints == []
        assert [url for url in shown.requested if not url.startswith(("file:", "data:", "about:"))] == []
