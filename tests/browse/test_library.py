"""What is browsed: data sets, runs, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityscribe.browse.detail import scenario_detail
from cityscribe.browse.library import Library, entry_id, open_library, would_be_left_out
from cityscribe.cli.targets import settings_of_target
from cityscribe.files import InputError
from cityscribe.prepare.stage import prepare
from cityscribe.project import resolve
from tests.browse.made import ASKED, BARE, BOXED, HOSTILE, library_of


def test_every_scenario_is_an_entry_and_ids_are_fit_for_addresses(of_data: Library) -> None:
    assert {entry.name for entry in of_data.entries} == {BOXED, BARE, ASKED, HOSTILE}
    assert len({entry.id for entry in of_data.entries}) == 4
    for entry in of_data.entries:
        assert not set(entry.id) & set("<>/\\#?%& ")
    assert entry_id("train", "a/b") != entry_id("train", "a_b")


def test_boxes_scores_and_what_is_left_out_are_told(of_data: Library, of_run: Library) -> None:
    bare = {entry.name: entry for entry in of_data.entries}[BARE]
    assert (bare.boxed, bare.points) == (False, None)
    asked = {entry.name: entry for entry in of_run.entries}[ASKED]
    assert asked.boxed
    assert asked.points is not None
    assert 20 < asked.points < 100


def test_without_a_run_as_much_is_left_out_as_prepare_would_leave_out(of_data: Library, tmp_path: Path) -> None:
    settings = resolve(
        {"data": {"path": "data"}, "prepare": {"workers": 1, "pedestrian_threshold": 125, "vehicle_threshold": 50}}
    )
    report = prepare(list(of_data.scenarios.values()), settings, tmp_path)
    told = sum(would_be_left_out(scenario, settings) for scenario in of_data.scenarios.values())
    assert told == report.skipped["phase"] > 5


def test_a_run_can_be_named_by_its_folder_or_its_project_file(run_dir: Path) -> None:
    by_file = library_of(run_dir / "project.yaml")
    assert [entry.id for entry in by_file.entries] == [entry.id for entry in library_of(run_dir).entries]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "nothing", "no such folder"),
        (lambda folder: folder, "is in no format that is read; it has no files"),
    ],
    ids=["missing", "empty"],
)
def test_what_cannot_be_browsed_is_named(make: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        library_of(make(tmp_path))  # type: ignore[operator]


def test_an_unknown_source_is_named(data: Path) -> None:
    with pytest.raises(InputError, match=r"--source wst: data\.source"):
        library_of(data, "wst")


def test_conversations_are_browsed_once_prepared(data: Path) -> None:
    with pytest.raises(InputError, match="once they are prepared"):
        library_of(data, "llava")


def test_boxes_of_a_tracker_are_shown_where_none_was_drawn_by_hand(data: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes" / f"{BARE}_Camera1_0" / "gt" / "gt.txt"
    boxes.parent.mkdir(parents=True)
    boxes.write_text("".join(f"{frame},1,{10 + frame},20,12,24,1,1,1\n" for frame in range(1, 20)))
    bare = entry_id("train", BARE)
    assert scenario_detail(library_of(data), bare)["views"][0]["boxes"] == {}
    settings, _ = settings_of_target(data, tracks=tmp_path / "boxes")
    tracked = open_library(data, settings)
    view = scenario_detail(tracked, bare)["views"][0]
    assert [box["frame"] for box in view["boxes"]["pedestrian"]] == list(range(19))
    assert view["boxes"]["pedestrian"][3]["xywh"] == [14.0, 20.0, 12.0, 24.0]
    assert all(phase["areas"]["pedestrian"] > 0 for phase in view["phases"][:4])
