"""Boxes that are found in a folder of clips: CVAT XML, which `data.tracks` reads again, box for box."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.media.video import write_video
from cityscribe.sources.reading import read_scenarios
from cityscribe.sources.settings import DataSettings
from cityscribe.traffic.scenario import ROLES
from tests.media.numbered_video import numbered_frame


def test_what_is_detected_is_what_is_used(tiny_detector: Callable[[str], Path], tmp_path: Path) -> None:
    clips, out = tmp_path / "clips", tmp_path / "boxes"
    (clips / "gate").mkdir(parents=True)
    for name in ("a.mp4", "gate/b.mp4"):
        write_video(clips / name, map(numbered_frame, range(8)), 10)
    model = tiny_detector("rt_detr")
    words = ["data", "detect", str(clips), "--model", str(model), "--output", str(out), "--threshold", "0.05"]
    done = CliRunner().invoke(app, words, terminal_width=400)
    assert done.exit_code == 0, done.output
    assert "2 clips, 0 captions, 0 boxes; read as clips" in done.output
    assert f"use them with data.tracks: {out} and data.boxes: generated (or both)" in done.output
    lines = [json.loads(line) for line in (out / "detected.jsonl").read_text().splitlines()[1:]]
    found = sum(line["boxes"].get(role, 0) for line in lines for role in ROLES)
    scenarios, problems = read_scenarios(DataSettings(source="clips", path=clips, tracks=out, boxes="both"))
    used = sum(len(boxes) for scenario in scenarios for boxes in scenario.views[0].boxes.values())
    assert used == found > 0
    assert str(problems[-1]).endswith(f"2 clips, 0 captions, {used} boxes; read as clips")
