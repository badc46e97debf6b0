"""A folder of clips, as it comes from a camera."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.files import read_json
from cityscribe.media.video import write_video
from cityscribe.sources.clips import check_clips, read_clips
from tests.browse.made import library_of
from tests.media.numbered_video import numbered_frame


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    (folder / "gate").mkdir()
    for name in ("a.mp4", "a.mkv", "gate/b.mp4", "gate/.hidden.mp4"):
        write_video(folder / name, (numbered_frame(n) for n in range(20)), 10)
    (folder / "broken.avi").write_bytes(b"no video at all" * 20)
    (folder / "notes.txt").write_text("not a clip")
    return folder


def test_each_video_is_a_scenario_in_equal_parts(clips: Path) -> None:
    scenarios, problems = read_clips(clips)
    assert [scenario.name for scenario in scenarios] == ["a.mkv", "a.mp4", "gate/b"]
    [view] = scenarios[2].views
    spans = [(phase.start_s, phase.end_s) for phase in view.phases]
    assert spans == [(pytest.approx(0.4 * n), pytest.approx(0.4 * (n + 1))) for n in range(5)]
    assert [(problem.level, problem.file) for problem in problems] == [("error", "broken.avi")]
    assert check_clips(clips) == problems


def test_a_base_describes_clips_without_any_training(clips: Path, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    project = tmp_path / "project.yaml"
    project.write_text(
        f"name: clips\nruns: {tmp_path}\ndata: {{source: clips, path: {clips}}}\n"
        f"model: {{base: {tiny('llava')}, method: none}}\n"
        "prepare: {image_size: 64, workers: 1}\npredict: {split: test, max_new_tokens: 3, precision: fp32}\n"
    )
    done = CliRunner().invoke(app, ["run", str(project)])
    assert done.exit_code == 0, done.output
    answers = read_json(tmp_path / "clips" / "test" / "predictions.json")
    assert {name: len(phases) for name, phases in answers.items()} == {"a.mkv": 5, "a.mp4": 5, "gate/b": 5}


def call(*words: object) -> str:
    """What a command prints."""
    done = CliRunner().invoke(app, [str(word) for word in words], terminal_width=400)
    assert done.exit_code == 0, done.output
    return done.output


def test_stats_and_browse_take_a_folder_of_clips(clips: Path, tmp_path: Path) -> None:
    said = call("data", "stats", clips, "--output", tmp_path / "stats")
    assert "3 clips, 0 captions, 0 boxes; read as clips" in said
    counts = read_json(tmp_path / "stats" / "stats.json")
    assert counts["splits"]["test"]["scenarios"] == 3
    assert counts["leaks"]["videos"] == 0  # the clips are equal, and in one split
    library = library_of(clips)
    assert [entry.name for entry in library.entries] == ["a.mkv", "a.mp4", "gate/b"]
    assert library.found == "3 clips, 0 captions, 0 boxes; read as clips"
