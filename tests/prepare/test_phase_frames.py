"""Several frames of a phase, as images or as a video: evenly spread, each with its boxes; short phases give what they
have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cityscribe.media.clips import read_clip
from cityscribe.media.video import probe
from cityscribe.prepare.keyframe import phase_frames
from cityscribe.prepare.stage import prepare
from cityscribe.records import media_blocks, read_samples, video_of
from cityscribe.traffic.scenario import Phase
from tests.media.numbered_video import number_of
from tests.prepare.made import box, make_video, scenario, settings, view


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("phases") / "v.mp4")


def boxed(video: Path, start_s: float, end_s: float):
    """A view with one phase at 10 frames a second, the pedestrian boxed on each of its frames."""
    made = view("v", video, of_phases=(Phase(2, start_s, end_s, {"pedestrian": "Walks.", "vehicle": "Drives."}),))
    first, last = round(start_s * 10), round(end_s * 10)
    return replace(made, boxes={"pedestrian": tuple(box(n, 2, 100.0 + n) for n in range(first, last))})


def test_frames_are_spread_evenly_each_with_its_own_box(video: Path) -> None:
    found = phase_frames(boxed(video, 0.4, 2.0), boxed(video, 0.4, 2.0).phases[0], probe(video), 8)
    assert [key.frame for key in found] == [5, 7, 9, 11, 13, 15, 17, 19]
    assert [key.boxes["pedestrian"][2] for key in found] == [10 + key.frame / 10 for key in found]


def test_a_phase_with_fewer_frames_gives_each_once(video: Path) -> None:
    for end_s, frames in ((0.7, [4, 5, 6]), (0.45, [4]), (0.4, [4])):
        made = boxed(video, 0.4, end_s)
        assert [key.frame for key in phase_frames(made, made.phases[0], probe(video), 8)] == frames
    late = Phase(2, 9.0, 9.5, {})
    assert [key.frame for key in phase_frames(view("v", video), late, probe(video), 8)] == [23]


@pytest.mark.parametrize("shown_as", ["images", "video"])
def test_samples_show_the_frames(shown_as: str, video: Path, tmp_path: Path) -> None:
    chosen = settings(frames=4, frames_as=shown_as, images=["global"], draw_boxes=False, jpeg_quality=100)
    scenarios = [scenario("s", boxed(video, 0.4, 2.0)), scenario("t", boxed(video, 0.4, 0.6), split="val")]
    prepare(scenarios, chosen, tmp_path)
    for split, expected in (("train", [6, 10, 14, 18]), ("val", [4, 5])):
        sample, *others = read_samples(tmp_path / f"{split}.parquet")
        assert {other.group for other in others} == {sample.group}
        if shown_as == "images":
            shown = [np.asarray(Image.open(tmp_path / name)) for name in sample.images]
        else:
            (block,) = media_blocks(sample.messages)
            clip = read_clip(tmp_path / block["video"], video_of(block))
            shown = [np.asarray(frame) for frame in clip.frames]
            assert clip.length_s == pytest.approx(1.6 if split == "train" else 0.2, abs=0.01)
        assert [number_of(frame) for frame in shown] == expected
