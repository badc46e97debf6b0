"""Boxes in are boxes out: what is detected comes back from the reader of WTS; runs go on where they were."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.detect import clips
from cityscribe.detect.clips import DetectOptions, detect_clips, join, write_boxes
from cityscribe.detect.detector import Detection, load_detector
from cityscribe.media.video import frame_index, probe, write_video
from cityscribe.prepare.views import with_boxes
from cityscribe.sources.check import check_wts
from cityscribe.sources.wts import read_wts
from cityscribe.traffic.scenario import ROLES, Scenario
from tests.media.numbered_video import numbered_frame
from tests.sources import tree

FRAMES = 24
EVENT, NORMAL, CLIP = "20230901_1_SY0001_T1", "20230901_1_normal_1_event_0", "video1"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An event at 60 frames a second seen from a mast and from the vehicle, a normal scene, and a clip; no boxes."""
    root = tmp_path / "WTS"
    spans = [tree.phase(str(n), f"{0.06 * n:.2f}", f"{0.06 * (n + 1):.2f}") for n in range(5)]
    (stem,) = tree.add_overhead(root, EVENT, cameras=1, phases=spans, videos=False)
    own = tree.add_vehicle(root, EVENT, phases=spans)
    (normal,) = tree.add_overhead(root, NORMAL, "train/normal_trimmed", cameras=1, phases=spans, videos=False)
    tree.add_external(root / "external" / "BDD_PC_5K", CLIP, phases=spans)
    shutil.rmtree(root / "external" / "BDD_PC_5K" / "annotations" / "bbox_annotated")
    _video(tree.video_path(root, "train", EVENT, "overhead", stem), 60)
    _video(tree.video_path(root, "train", EVENT, "vehicle", own), 10)
    _video(tree.video_path(root, "train/normal_trimmed", NORMAL, "overhead", normal), 10)
    _video(root / "external" / "BDD_PC_5K" / "videos" / "train" / f"{CLIP}.mp4", 10)
    return root


def _video(path: Path, fps: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    times_s = [n / fps for n in range(FRAMES)] if fps == 60 else None
    write_video(path, (numbered_frame(n) for n in range(FRAMES)), fps, times_s=times_s)


def true_box(role: str, frame: int) -> tuple[float, float, float, float]:
    return (5.0 + frame, 10.0, 12.0, 30.0) if role == "pedestrian" else (80.0 - 1.5 * frame, 20.0, 30.0, 20.0)


def sightings(every: int) -> list[tuple[int, list[Detection]]]:
    """What a detector that sees well would say: both road users, a smaller pedestrian farther away, and one blink."""
    found = []
    for frame in range(0, FRAMES, every):
        seen = [Detection(role, 0.9, true_box(role, frame)) for role in ROLES]
        seen.append(Detection("pedestrian", 0.8, (60.0, 2.0, 4.0, 9.0)))
        if frame == 6:
            seen = seen[1:]
        found.append((frame, seen))
    return found


@pytest.mark.parametrize("every", [1, 3])
def test_boxes_in_are_boxes_out(data: Path, every: int) -> None:
    scenarios, _ = read_wts(data)
    for scenario in scenarios:
        for view in scenario.views:
            tracks = join(sightings(every), view, probe(view.video).fps, DetectOptions(every=every))
            write_boxes(scenario, view, tracks, data)
    again, problems = read_wts(data)
    assert problems == []
    assert [scenario.name for scenario in again] == [scenario.name for scenario in scenarios]
    last = (FRAMES - 1) // every * every
    for scenario in again:
        for view in scenario.views:
            film = view.kind == "vehicle" or scenario.domain == "external"
            assert set(view.boxes) == ({"pedestrian"} if film else set(ROLES))
            fps = probe(view.video).fps
            for role, boxes in view.boxes.items():
                assert [frame_index(box.image_id, fps) for box in boxes] == list(range(last + 1))
                for box in boxes:
                    assert box.generated
                    assert box.phase is None
                    assert box.xywh == pytest.approx(true_box(role, frame_index(box.image_id, fps)), abs=0.01)
            # `prepare` finds the phases of the boxes by time.
            labelled = with_boxes(view, "generated")
            assert {box.phase for box in labelled.boxes["pedestrian"]} >= {0}
    assert [problem for problem in check_wts(data) if "box" in problem.message] == []


def test_a_stopped_run_goes_on_and_ends_as_one_that_was_not(
    data: Path, tiny_detector: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tiny_detector("rt_detr")
    detector = load_detector(folder)
    scenarios, _ = read_wts(data)
    options = DetectOptions(threshold=0.05, batch=3)  # random weights are sure of nothing
    whole = detect_clips(scenarios, detector, str(folder), tmp_path / "whole", options)
    assert any(line["boxes"] for line in whole)

    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise StopError

    with pytest.raises(StopError):
        detect_clips(scenarios, detector, str(folder), tmp_path / "stopped", options, progress=stop)
    journal = tmp_path / "stopped" / "detected.jsonl"
    assert len(journal.read_text().splitlines()) == 3
    journal.write_text(journal.read_text() + '{"split": "tra')  # torn by a kill
    assert detect_clips(scenarios, detector, str(folder), tmp_path / "stopped", options) == whole
    assert _files(tmp_path / "stopped") == _files(tmp_path / "whole")
    assert len(whole) == 4


def test_stopped_after_every_file_operation_it_ends_as_if_never_stopped(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill leaves behind each rename and each forced write, and behind a torn line of the journal."""
    scenarios, _ = read_wts(data)
    monkeypatch.setattr(clips, "look_through", lambda view, detector, options: sightings(options.every))
    whole = detect_clips(scenarios, None, "detector", tmp_path / "whole", DetectOptions())
    left = 0
    real = {name: getattr(os, name) for name in ("replace", "fsync")}

    def dying(name: str) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            nonlocal left
            real[name](*arguments)
            left -= 1
            if left < 0:
                raise KeyboardInterrupt

        return call

    for name in real:
        monkeypatch.setattr(os, name, dying(name))
    stopped = 0
    for last in range(40):
        out, left = tmp_path / f"out{last}", last
        try:
            detect_clips(scenarios, None, "detector", out, DetectOptions())
        except KeyboardInterrupt:
            stopped += 1
        else:
            break
        journal = out / "detected.jsonl"
        if journal.exists() and journal.read_bytes().count(b"\n") <= len(whole):
            journal.write_bytes(journal.read_bytes() + b'{"split": "tra')
        left = 1000
        assert detect_clips(scenarios, None, "detector", out, DetectOptions()) == whole
        assert _files(out) == _files(tmp_path / "whole")
    assert stopped > 8


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_broken_video_costs_only_itself(data: Path, tiny_detector: Callable[[str], Path], tmp_path: Path) -> None:
    (data / "external" / "BDD_PC_5K" / "videos" / "train" / f"{CLIP}.mp4").write_bytes(b"nothing")
    folder = tiny_detector("yolos")
    lines = detect_clips(read_wts(data)[0], load_detector(folder), str(folder), tmp_path / "out", DetectOptions())
    assert [line["scenario"] for line in lines if "why" in line] == [CLIP]
    assert len(lines) == 4


def test_views_that_have_boxes_are_left_alone_unless_all_are_wanted(
    data: Path, tiny_detector: Callable[[str], Path], tmp_path: Path
) -> None:
    tree.add_boxes(data, EVENT, "overhead", f"{EVENT}_Camera1_0", "pedestrian", [tree.box(3)])
    folder = tiny_detector("yolos")
    detector, scenarios = load_detector(folder), read_wts(data)[0]
    told = detect_clips(scenarios, detector, str(folder), tmp_path / "some", DetectOptions())
    assert len(told) == 3
    assert len(detect_clips(scenarios, detector, str(folder), tmp_path / "all", DetectOptions(all_views=True))) == 4


def test_the_command_writes_into_the_data_set(data: Path, tiny_detector: Callable[[str], Path]) -> None:
    arguments = [
        "data",
        "detect",
        str(data),
        "--model",
        str(tiny_detector("rt_detr")),
        "--output",
        str(data),
        "--every",
        "6",
    ]
    arguments += ["--threshold", "0.05"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "of 4 views" in result.output
    lines = [json.loads(line) for line in (data / "detected.jsonl").read_text().splitlines()[1:]]
    scenarios: list[Scenario] = read_wts(data)[0]
    for line in lines:
        (scenario,) = [each for each in scenarios if each.name == line["scenario"]]
        (view,) = [each for each in scenario.views if each.name == line["view"]]
        assert {role: len(boxes) for role, boxes in view.boxes.items()} == line["boxes"]
