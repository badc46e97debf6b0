"""`cityscribe data stats`: the JSON and the page."""

from __future__ import annotations

import html
import json
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.files import InputError
from cityscribe.stats.page import write_stats
from cityscribe.stats.plots import bar_chart
from tests.inert import assert_inert
from tests.prepare.made import make_video
from tests.sources import tree

LONG = " ".join(f"word{n}" for n in range(60))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scenarios; a caption and a video of the first stand in the validation split again, and so does a name."""
    root = tmp_path_factory.mktemp("stats") / "W<T>S"
    video = make_video(root.parent / "clip.mp4", 4)
    for name, where, said in (
        ("one", "train", LONG),
        ("two", "train", "Rain."),
        ("one", "val", LONG),
        ("four", "val", LONG),
    ):
        phases = [tree.phase("0", caption_pedestrian=f"{said} <b>", caption_vehicle=f"{name} in {where}.")]
        tree.add_external(root / "external" / "BDD_PC_5K", name, where, phases=phases)
        shutil.copy(video, root / "external" / "BDD_PC_5K" / "videos" / where / f"{name}.mp4")
    return root


def test_leaks_between_splits_are_counted_and_named(data: Path, tmp_path: Path) -> None:
    found = write_stats(data, "wts", tmp_path)
    assert found["leaks"] == {"scenarios": 1, "videos": 1, "captions": 1, "frames": 1}
    assert found == json.loads((tmp_path / "stats.json").read_text())
    page = (tmp_path / "index.html").read_text()
    assert "4 leaks between splits" in page
    assert "four, prerecognition, pedestrian" in page


def test_the_page_escapes_what_the_data_say_and_loads_nothing(data: Path, tmp_path: Path) -> None:
    write_stats(data, "wts", tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert html.escape("W<T>S") in page
    assert "<T>" not in page
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", page)


def test_equal_data_give_equal_bytes(data: Path, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        write_stats(data, "wts", tmp_path / folder)
    for name in ("stats.json", "index.html"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_without_videos_none_is_opened(data: Path, tmp_path: Path) -> None:
    found = write_stats(data, "wts", tmp_path, videos=False)
    assert found["duplicates"]["frames"] == found["duplicates"]["videos"] == []
    assert "Videos were not opened" in (tmp_path / "index.html").read_text()


def test_the_command_says_where_the_page_is_and_what_leaks(data: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["data", "stats", str(data), "--output", str(tmp_path), "--no-videos"])
    assert result.exit_code == 0, result.output
    assert "1 captions in several splits" in result.output
    assert str(tmp_path / "index.html") in result.output.replace("\n", "")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scenario can be used"):
        write_stats(tmp_path, "wts", tmp_path / "out")


def test_bars_are_as_high_as_their_values() -> None:
    chart = ET.fromstring(bar_chart("t", ["a", "b", "c"], [2, 4, 0], "x", "y"))
    heights = [float(bar.attrib["height"]) for bar in chart.iter("rect")]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2)
    assert heights[2] == 0


def test_names_of_scenarios_are_text(tmp_path: Path) -> None:
    """Two scenarios with one caption stand on the page by their names."""
    name = '"><img src=x onerror=alert(2)>'
    video = make_video(tmp_path / "clip.mp4", 4)
    for number, where in enumerate(("train", "val")):
        phases = [tree.phase("0", caption_pedestrian=LONG, caption_vehicle=f"<script>alert(1){number}")]
        scenario = f"{name}{number}"
        tree.add_external(tmp_path / "external" / "BDD_PC_5K", scenario, where, phases=phases)
        shutil.copy(video, tmp_path / "external" / "BDD_PC_5K" / "videos" / where / f"{scenario}.mp4")
    write_stats(tmp_path, "wts", tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "&lt;img src=x onerror" in page
    assert_inert(page, shown=0)
