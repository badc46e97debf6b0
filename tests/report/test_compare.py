"""Comparing runs: what is found where something is there, and nothing where nothing is."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.evaluate.resampling import holm
from cityscribe.files import InputError
from cityscribe.report.bootstrap import paired_p_value, score
from cityscribe.report.compare import compare_runs, write_comparison
from cityscribe.report.run_files import read_run
from tests.inert import EVIL, assert_inert
from tests.report.run_folder import settings as settings_of
from tests.report.test_bootstrap import segments


def test_the_p_value_is_that_of_all_exchanges() -> None:
    """Eight scenarios can be exchanged in 256 ways; the drawn ones have to come near the share of these."""
    own, domains = segments(8, "internal")
    noise = np.random.default_rng(0)
    other = {key: value - 1.2 + noise.normal(0, 6) for key, value in own.items()}
    names = sorted({key[0] for key in own})
    observed = abs(score(own, domains) - score(other, domains))
    hits = []
    for flips in itertools.product([False, True], repeat=len(names)):
        swapped = dict(zip(names, flips, strict=True))
        first = {key: other[key] if swapped[key[0]] else own[key] for key in own}
        second = {key: own[key] if swapped[key[0]] else other[key] for key in own}
        hits.append(abs(score(first, domains) - score(second, domains)) >= observed - 1e-9)
    found = paired_p_value(own, other, domains, 0)
    assert 0.01 < fmean(hits) < 0.9
    assert found == pytest.approx(fmean(hits), abs=0.03)


def test_equal_runs_differ_by_nothing_and_a_clear_lead_is_sure() -> None:
    own, domains = segments(12, "internal")
    assert paired_p_value(own, own, domains, 0) == 1.0
    assert paired_p_value(own, {key: value - 20 for key, value in own.items()}, domains, 0) < 0.002
    assert paired_p_value(*[{("one", 0, "vehicle"): 1.0}] * 2, {("one", 0, "vehicle"): "internal"}, 0) is None


@given(st.lists(st.none() | st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(values: list[float | None]) -> None:
    corrected = holm(values)
    assert [value is None for value in corrected] == [value is None for value in values]
    known = [(a, b) for a, b in zip(values, corrected, strict=True) if a is not None and b is not None]
    assert all(a <= b <= 1 for a, b in known)
    assert [b for _, b in sorted(known)] == sorted(b for _, b in known)


def test_holm_on_a_known_case() -> None:
    assert holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06])


def test_runs_are_compared_and_shown(finished: Path, run_dir: Path, tmp_path: Path) -> None:
    """The second run says what the untuned baseline of the first said: worse, and the page shows where."""
    for name in ("predictions.json", "segments.json", "scores.json"):
        (run_dir / name).write_bytes((finished / "baselines" / "untuned" / name).read_bytes())
    settings = settings_of(finished)
    runs = {"good": read_run(finished, settings), "poor": read_run(run_dir, settings_of(run_dir))}
    found = compare_runs(runs)
    (poor,) = found.others
    assert found.score == pytest.approx(json.loads((finished / "scores.json").read_text())["score"])
    assert poor.score == pytest.approx(json.loads((run_dir / "scores.json").read_text())["score"])
    assert poor.difference < -10
    assert poor.interval is not None
    assert poor.interval.low <= poor.difference <= poor.interval.high < 0
    assert poor.p_value is not None
    assert poor.p_value < 0.1  # five scenarios can be exchanged in 32 ways
    assert not poor.gained
    assert [change.first - change.other for change in poor.lost] == sorted(
        (change.first - change.other for change in poor.lost), reverse=True
    )
    write_comparison(found, finished / "prepared", settings, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    worst = poor.lost[0].segment.split("/")[0]
    assert worst in page
    assert page.count("data:image/") == 2 * len({change.segment.rsplit("/", 1)[0] for change in poor.lost})
    before = (tmp_path / "out" / "compare.json").read_bytes()
    write_comparison(compare_runs(runs), finished / "prepared", settings, tmp_path / "out")
    assert (tmp_path / "out" / "compare.json").read_bytes() == before
    assert json.loads(before)["others"][0]["name"] == "poor"


def test_what_moved_is_found_and_what_did_not_is_not(finished: Path, run_dir: Path) -> None:
    """The second run differs from the first in one way: it says of every weather that it is clear."""
    rename(run_dir / "attributes.json", "weather", "clear")
    runs = {"good": read_run(finished, settings_of(finished)), "other": read_run(run_dir, settings_of(run_dir))}
    (other,) = compare_runs(runs).others
    moved = {move.name: move for move in other.attributes if move.moved}
    assert list(moved) == ["weather"]
    weather = moved["weather"]
    assert weather.other == pytest.approx(100 * share_of(finished / "attributes.json", "weather", "clear"))
    assert weather.difference == weather.other - weather.first
    assert weather.interval is not None
    assert weather.interval.low <= weather.difference <= weather.interval.high
    # None: stated in one scenario only.
    assert {move.p_value for move in other.attributes if not move.moved} <= {1.0, None}
    assert not any(move.moved for move in other.kinds)  # whose points are those of the scores, which are the same


def rename(file: Path, attribute: str, value: str) -> None:
    """Let every prediction say one value of an attribute."""
    found = json.loads(file.read_text())
    for segment in found["segments"].values():
        segment["said"][attribute] = value
    file.write_text(json.dumps(found))


def share_of(file: Path, attribute: str, value: str) -> float:
    stated = [segment["stated"] for segment in json.loads(file.read_text())["segments"].values()]
    return fmean(facts[attribute] == value for facts in stated if attribute in facts)


def test_the_command_compares_runs_and_names_the_settings_that_differ(
    finished: Path, run_dir: Path, tmp_path: Path
) -> None:
    project = run_dir / "project.yaml"
    moved = project.read_text().replace(str(finished.parent), str(run_dir.parent))
    project.write_text(moved.replace("method: block-expansion", "method: lora"))
    paths = [str(finished / "project.yaml"), str(project)]
    result = CliRunner().invoke(app, ["experiment", "compare", *paths, "--output", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert found["settings"] == {"model.method": ["block-expansion", "lora"]}
    assert found["others"][0]["difference"] == 0
    assert {move["name"] for move in found["others"][0]["kinds"]} >= {"Light: bright", "Phase: action", "View: vehicle"}
    page = (tmp_path / "out" / "index.html").read_text()
    assert "What moved" in page
    assert "lora" in page
    assert "index.html" in result.output


def test_runs_that_cannot_be_compared_are_refused(finished: Path, run_dir: Path) -> None:
    run = read_run(finished, settings_of(finished))
    with pytest.raises(InputError, match="two runs or more"):
        compare_runs({"one": run})
    (run_dir / "segments.json").unlink()
    with pytest.raises(InputError, match="two: has no scores"):
        compare_runs({"one": run, "two": read_run(run_dir, settings_of(run_dir))})


def test_names_of_runs_and_what_they_say_are_text(finished: Path, run_dir: Path, tmp_path: Path) -> None:
    predictions = json.loads((run_dir / "predictions.json").read_text())
    for segments_said in predictions.values():
        for segment in segments_said:
            segment["caption_pedestrian"] = f"{EVIL} is said"
    (run_dir / "predictions.json").write_text(json.dumps(predictions))
    settings = settings_of(finished)
    runs = {EVIL: read_run(finished, settings), f"{EVIL} 2": read_run(run_dir, settings_of(run_dir))}
    for name in ("segments.json", "scores.json"):
        assert (run_dir / name).is_file()
    write_comparison(compare_runs(runs), finished / "prepared", settings, tmp_path / "out")
    assert_inert((tmp_path / "out" / "index.html").read_text(), shown=4)
