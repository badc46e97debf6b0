"""What a folder is read as, and what every command says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from cityscribe.cli import app
from cityscribe.files import InputError
from cityscribe.project import load_settings
from cityscribe.records import Sample, message, text_block
from cityscribe.sources import SOURCES, ConversationSource
from cityscribe.sources.listing import Certainty
from cityscribe.sources.recognise import recognise
from tests.sources.small_sets import SMALL_SETS, clip
from tests.sources.tree import add_external, add_overhead, write


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], terminal_width=400)


@pytest.mark.parametrize("name", list(SMALL_SETS))
def test_every_small_set_is_recognised(name: str, tmp_path: Path) -> None:
    source, make = SMALL_SETS[name]
    make(tmp_path, True)
    assert recognise(tmp_path) == source


def test_parts_of_wts_and_folders_of_clips(tmp_path: Path) -> None:
    add_overhead(tmp_path / "whole", "s")
    add_external(tmp_path / "flat" / "BDD_PC_5K", "video1", "train")
    clip(tmp_path / "videos" / "deep" / "a.MP4", empty=True)
    assert recognise(tmp_path / "whole") == "wts"
    assert recognise(tmp_path / "flat") == recognise(tmp_path / "flat" / "BDD_PC_5K") == "wts"
    assert recognise(tmp_path / "videos") == "clips"


def test_the_layout_of_synwts_is_that_of_wts_below_data(tmp_path: Path) -> None:
    add_overhead(tmp_path / "data", "20231006_0_1")
    assert recognise(tmp_path) == "wts"
    scenarios, problems = SOURCES["wts"].read(tmp_path)
    assert ([scenario.name for scenario in scenarios], problems) == (["20231006_0_1"], [])


def test_nothing_usable_says_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path / "a.doc", "x")
    write(tmp_path / "b.doc", "x")
    with pytest.raises(InputError) as told:
        recognise(tmp_path)
    assert "is in no format that is read; it has 2 .doc" in str(told.value)
    for name in SOURCES:
        assert f"{name}: {SOURCES[name].looks_for}" in str(told.value)
    with pytest.raises(InputError, match=r"a\.doc: is a file; give the folder"):
        recognise(tmp_path / "a.doc")


def test_check_says_what_it_read_and_that_nothing_is_an_error(tmp_path: Path) -> None:
    """A folder of clips and claims, which once passed with no errors and gave nothing."""
    clip(tmp_path / "videos" / "a.mp4", empty=False)
    write(tmp_path / "claims.csv", "clip,text\na.mp4,Hit the fence.\n")
    right = call("check", tmp_path)
    assert right.exit_code == 0, right.output
    assert "1 question, 1 clip, 0 boxes; read as table" in right.output
    assert "0 errors, 0 warnings" in right.output
    wrong = call("check", tmp_path, "--source", "wts")
    assert wrong.exit_code == 2
    assert "0 clips, 0 captions, 0 boxes; read as wts" in wrong.output
    assert "looked for annotations/caption/" in wrong.output
    assert "the folder looks like table: data.source table, or --source table" in wrong.output


def test_init_picks_the_source_and_run_takes_the_one_that_the_folder_is_in(tmp_path: Path) -> None:
    clip(tmp_path / "data" / "a.mp4", empty=False)
    project = tmp_path / "project.yaml"
    made = call("init", project, "--data", tmp_path / "data")
    assert "1 clip, 0 captions, 0 boxes; read as clips" in made.output
    written = yaml.safe_load(project.read_text())
    assert (written["data"]["source"], written["predict"]["split"], written["model"]["method"]) == (
        "clips",
        "test",
        "none",
    )
    short = write(tmp_path / "short.yaml", f"data: {{path: {tmp_path / 'data'}}}\n")
    assert load_settings(short).data.source == "clips"
    assert load_settings(short, ["data.source=wts"]).data.source == "wts"
    (tmp_path / "none").mkdir()
    assert "is in no format that is read" in str(
        call("init", tmp_path / "q.yaml", "--data", tmp_path / "none").exception
    )


def test_a_source_of_somebody_else_brings_its_own_recognition(tmp_path: Path) -> None:
    write(tmp_path / "a.note", "What colour?")
    clip(tmp_path / "a.mp4", empty=True)
    sample = Sample((message("user", text_block("What colour?")),), (), "a")
    notes = ConversationSource(
        lambda root, **_: ([sample], []),
        recognise=lambda listing: Certainty.CERTAIN if listing.ending(".note") else Certainty.NO,
        looks_for="notes",
    )
    SOURCES.add("notes", notes, "notes of a test")
    try:
        assert recognise(tmp_path) == "notes"
        assert "1 question, 0 clips; read as notes" in call("check", tmp_path).output
    finally:
        SOURCES.remove("notes")
