"""Two people in their first hour, with the commands that they type and what they see: an analyst who has clips and no
programs, and an insurer's engineer who has boxes of CVAT and claims in a spreadsheet."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cityscribe.media.video import write_video
from tests.media.numbered_video import numbered_frame
from tests.preloaded import preloaded_python


def typed(folder: Path, *words: str) -> tuple[int, str]:
    """Exit status and output of a command."""
    done = subprocess.run(
        [preloaded_python(), "-m", "cityscribe", *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def test_an_analyst_makes_a_table_of_twenty_clips(tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    (tmp_path / "clips").mkdir()
    first = tmp_path / "clips" / "clip-01.mp4"
    write_video(first, map(numbered_frame, range(4)), 4)
    for number in range(2, 21):
        os.link(first, tmp_path / "clips" / f"clip-{number:02d}.mp4")
    (tmp_path / "clips" / "clip-07.mp4").unlink()
    (tmp_path / "clips" / "clip-07.mp4").write_bytes(first.read_bytes()[:700])  # a download that broke off
    outputs = ("--output", "table.csv", "--output", "table.html", "--output", "table.json")
    status, said = typed(
        *(tmp_path, "describe", "clips", "--model", str(tiny("llava")), *outputs),
        *("--set", "predict.max_new_tokens=3", "--set", "prepare.image_size=48"),
    )
    assert status == 3, said
    assert "20 clips, 19 spans" in said
    assert "1 of 20 clips could not be read; the table names them" in said
    assert "table: table.html" in said
    rows = list(csv.DictReader((tmp_path / "table.csv").open(encoding="utf-8-sig", newline="")))
    assert [row["clip"] for row in rows] == [f"clip-{number:02d}.mp4" for number in range(1, 21)]
    assert [row["clip"] for row in rows if not row["span"]] == ["clip-07.mp4"]
    assert (tmp_path / "table.html").read_text("utf-8").count('<li class="card"') == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clips", "table.csv", "table.html", "table.json"]
    users = [user for row in json.loads((tmp_path / "table.json").read_text()) for user in row["road_users"].values()]
    assert len(users) == 2 * 19
    assert all(user["found"] is (user["probability"] >= 0.5) for user in users)
    assert all(0 < user["confidence"] <= 1 for user in users if user["description"])
    assert all(not user["description"] and not user["facts"] for user in users if not user["found"])


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `data template` writes."""
    folder = tmp_path_factory.mktemp("insurer")
    status, said = typed(folder, "data", "template", "own", "--clips", "2")
    assert status == 0, said
    assert "look at its claims.csv" in said
    return folder


def test_an_insurer_goes_from_claims_and_boxes_to_a_report(own: Path, tiny: Callable[[str], Path]) -> None:
    status, said = typed(own, "check", "own")
    assert status == 0, said
    assert "own: 6 questions, 2 clips, " in said
    boxes = int(said.partition("2 clips, ")[2].partition(" ")[0])
    assert boxes > 0
    assert "read as table" in said
    assert "boxes/gate-01.xml: read as CVAT XML" in said
    assert "0 errors, 0 warnings" in said
    status, said = typed(own, "init", "project.yaml", "--data", "own")
    assert (status, "read as table" in said, "next: cityscribe run project.yaml" in said) == (0, True, True), said
    small = {
        "model.base": str(tiny("llava")),
        "model.block_expansion.blocks": "1",
        "train.max_steps": "1",
        "predict.max_new_tokens": "3",
        "prepare.image_size": "48",
        "prepare.workers": "1",
        "report.samples": "1",
    }
    status, said = typed(own, "run", "project.yaml", *(f"--set={name}={value}" for name, value in small.items()))
    assert status == 0, said
    assert f"own: 6 questions, 2 clips, {boxes} boxes; read as table" in said
    run = own / "runs" / "run"
    assert (run / "predictions.jsonl").read_text("utf-8").count("\n") == 3  # of the last clip, which validates
    assert (run / "report" / "index.html").is_file()
