"""`cityscribe check --source` and `cityscribe data convert`, as a user calls them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from typer.testing import CliRunner, Result

from cityscribe.cli import app
from tests.sources import small_sets
from tests.sources.tree import add_overhead, write


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], terminal_width=400)


def test_check_knows_every_source(tmp_path: Path) -> None:
    small_sets.sharegpt(tmp_path)
    found = call("check", tmp_path, "--source", "sharegpt")
    assert (found.exit_code, "0 errors, 1 warnings" in found.output) == (0, True)
    (tmp_path / "images" / "1.png").unlink()
    found = call("check", tmp_path, "--source", "sharegpt")
    assert found.exit_code == 2
    assert "mllm.json: [0].images[0]: the file 'images/1.png' does not exist" in found.output
    assert "did you mean llava?" in str(call("check", tmp_path, "--source", "lava").exception)


def test_convert_tells_the_format_and_keeps_the_images(tmp_path: Path) -> None:
    small_sets.messages(tmp_path / "in")
    made = call("data", "convert", tmp_path / "in", tmp_path / "out", "--to", "llava")
    assert made.exit_code == 0, made.output
    entries = json.loads((tmp_path / "out" / "train.json").read_text())
    assert entries[0]["image"] == "a.png"
    assert entries[0]["conversations"][1] == {"from": "human", "value": "<image>\nWhat?"}
    assert (tmp_path / "out" / "a.png").is_file()
    again = call("data", "convert", tmp_path / "in", tmp_path / "out", "--to", "llava")
    assert "already there" in str(again.exception)


def test_names_of_files_reach_the_terminal_without_escapes(tmp_path: Path) -> None:
    add_overhead(tmp_path, "s", cameras=1)
    folder = os.fsencode(tmp_path) + b"/annotations/caption/train/x\x1b[31m\ny"
    os.makedirs(folder)
    for name in (folder + b"/a.json", os.fsencode(tmp_path) + b"/annotations/caption/train/\xff_caption.json"):
        Path(os.fsdecode(name)).write_text("{}")
    found = call("check", tmp_path)
    assert "\x1b[31m" not in found.output
    assert r"x\x1b[31m\ny/a.json: is neither overhead_view/ nor vehicle_view/" in found.output
    assert r"\udcff_caption.json: the name is not UTF-8" in found.output


def test_boxes_and_a_name_that_is_not_utf8_through_prepare(tmp_path: Path) -> None:
    add_overhead(tmp_path / "data", "s", cameras=1)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/data/\xff.txt")).write_text("a")
    stem = next((tmp_path / "data" / "videos").rglob("*.mp4")).stem
    write(tmp_path / "boxes" / stem / "gt" / "gt.txt", "1,1,1,1,40,40,1,1,1.0\n1,2,1,1,50,40,1,2,1.0\n")
    write(tmp_path / "boxes" / stem / "gt" / "labels.txt", "car\npedestrian\n")
    project = write(tmp_path / "p.yaml", f"data: {{path: {tmp_path / 'data'}, tracks: {tmp_path / 'boxes'}}}\n")
    found = call("prepare", project, "--set", f"runs={tmp_path / 'runs'}", "--set", "data.boxes=generated")
    assert found.exit_code == 0, found.output
    assert "classes from labels.txt, counted from 1, frames counted from 1" in found.output
    assert "2 boxes are used, in 1 of 1 views" in found.output
    again = call("prepare", project, "--set", f"runs={tmp_path / 'runs'}")
    assert "data.boxes is annotated; set it to generated or both" in again.output
    (tmp_path / "boxes" / stem).rename(tmp_path / "boxes" / "another")
    none = call("prepare", project, "--set", f"runs={tmp_path / 'runs'}")
    assert "none of its boxes is used; warning" in str(none.exception)
