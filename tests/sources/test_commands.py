"""`cityscribe check --source` and `cityscribe convert`, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from cityscribe.cli import app
from tests.sources import small_sets


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
    made = call("convert", tmp_path / "in", tmp_path / "out", "--to", "llava")
    assert made.exit_code == 0, made.output
    entries = json.loads((tmp_path / "out" / "train.json").read_text())
    assert entries[0]["image"] == "a.png"
    assert entries[0]["conversations"][1] == {"from": "human", "value": "<image>\nWhat?"}
    assert (tmp_path / "out" / "a.png").is_file()
    again = call("convert", tmp_path / "in", tmp_path / "out", "--to", "llava")
    assert "already there" in str(again.exception)
