"""What people type is accepted where its meaning is plain: run folders, `~`, names of files as text."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cityscribe.cli import shell
from cityscribe.project import checkpoint_of, dump_settings, load_settings, resolve


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder with a model in it, named relative to the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = Path("runs/one")
    (folder / "model").mkdir(parents=True)
    (folder / "project.yaml").write_text(dump_settings(resolve({"name": "one", "data": {"path": "city"}})))
    return folder


def test_a_run_folder_is_its_project(run: Path) -> None:
    expected = load_settings(run / "project.yaml")
    assert load_settings(run) == load_settings(str(run)) == expected
    assert expected.run_dir == run
    assert checkpoint_of(str(run)) == checkpoint_of(str(run / "project.yaml")) == str(run / "model")


def test_a_run_folder_that_was_moved_is_the_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(run, "elsewhere/two")
    assert load_settings("elsewhere/two").run_dir == Path("elsewhere/two")
    assert load_settings("elsewhere/two", ["name=other"]).run_dir == Path("runs/other")
    monkeypatch.chdir("elsewhere/two")
    assert load_settings(".").run_dir.samefile(".")


def test_home_is_a_tilde(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = load_settings("~/runs/one", ["data.path=~/city", "evaluate.references=~/refs"])
    assert settings.data.path == tmp_path / "city"
    assert settings.evaluate.references == tmp_path / "refs"
    assert shell.run_command(["init", "~/new.yaml", "--data=~/city"]) == 0
    assert load_settings(tmp_path / "new.yaml").data.path == tmp_path / "city"


def test_where_nobody_watches_progress_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 10.0, 40.0, 50.0, 4000.0, 4001.0])
    monkeypatch.setattr(shell.time, "monotonic", lambda: next(clock))
    with shell.watch("train") as progress:
        for step in (1, 2, 3, 4):
            progress(step, 8)
    assert capsys.readouterr().out.splitlines() == [
        "train: 2 of 8 after 40.0 s, about 2.0 min left",
        "train: 4 of 8 after 66.7 min, about 66.7 min left",
        "train: done in 66.7 min",
    ]
