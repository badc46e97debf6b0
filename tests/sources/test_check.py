"""A check finds what only the videos show, names file and place, and leaves the rest of the data set alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityscribe.files import InputError
from cityscribe.media.video import write_video
from cityscribe.records import Problem
from cityscribe.sources.check import check_wts
from cityscribe.sources.reading import check_data
from tests.media.numbered_video import HEIGHT, WIDTH, numbered_frame
from tests.sources.tree import add_boxes, add_external, add_overhead, box, box_path, caption_path, phase, video_path

REAL_SAMPLE = Path(__file__).parents[1] / "data" / "real_sample"


def scenario(
    root: Path, *, fps: float = 25, frames: int = 50, phases: list | None = None, boxes: list | None = None
) -> Path:
    """A scenario with one overhead video of `frames` frames; returns the video."""
    phases = [phase("0", "0.0", "1.0"), phase("1", "1.0", "2.0")] if phases is None else phases
    (stem,) = add_overhead(root, "s", cameras=1, phases=phases)
    add_boxes(root, "s", "overhead", stem, "pedestrian", [] if boxes is None else boxes)
    video = video_path(root, "train", "s", "overhead", stem)
    write_video(video, map(numbered_frame, range(frames)), fps)
    return video


def one_problem(root: Path) -> Problem:
    problems = check_wts(root)
    assert len(problems) == 1, list(map(str, problems))
    return problems[0]


CAPTIONS = caption_path(Path(), "train", "s", "overhead").as_posix()
BOXES = box_path(Path(), "train", "s", "overhead", "s_Camera1_0", "pedestrian").as_posix()
VIDEO = video_path(Path(), "train", "s", "overhead", "s_Camera1_0").as_posix()


def test_real_sample_has_no_problems() -> None:
    assert check_data("wts", REAL_SAMPLE) == []


def test_a_sound_data_set_has_no_problems(tmp_path: Path) -> None:
    edge = [box(0, (0, 0, WIDTH, HEIGHT)), box(49, (-0.6, -0.6, WIDTH + 1.2, HEIGHT + 1.2))]
    scenario(tmp_path, boxes=edge)
    assert check_wts(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"no video"])
def test_an_unreadable_video_is_an_error_and_the_rest_goes_on(tmp_path: Path, content: bytes) -> None:
    scenario(tmp_path)
    add_external(tmp_path / "external" / "BDD_PC_5K", "video7")
    broken = tmp_path / "external" / "BDD_PC_5K" / "videos" / "train" / "video7.mp4"
    broken.write_bytes(content)
    problem = one_problem(tmp_path)
    assert (problem.level, problem.file) == ("error", "external/BDD_PC_5K/videos/train/video7.mp4")
    assert str(tmp_path) not in problem.message


def test_a_missing_video_is_an_error(tmp_path: Path) -> None:
    scenario(tmp_path).unlink()
    problems = check_wts(tmp_path)
    assert [(p.level, p.file) for p in problems] == [("error", CAPTIONS), ("warning", BOXES), ("error", CAPTIONS)]
    assert problems[0].place == "overhead_videos[0]"


def test_a_truncated_video_names_its_last_good_frame(tmp_path: Path) -> None:
    video = scenario(tmp_path, frames=200)
    video.write_bytes(video.read_bytes()[:-400])
    problem = one_problem(tmp_path)
    assert (problem.level, problem.file) == ("warning", VIDEO)
    last = int(problem.message.rsplit(" ", 1)[-1])
    assert 100 < last < 199


@pytest.mark.parametrize(("image_id", "found"), [(50, "the last one is used"), (51, "the box is left out")])
def test_a_box_behind_the_last_frame(tmp_path: Path, image_id: int, found: str) -> None:
    scenario(tmp_path, boxes=[box(49), box(image_id)])
    problem = one_problem(tmp_path)
    assert (problem.level, problem.file, problem.place) == ("warning", BOXES, f"image_id {image_id}")
    assert found in problem.message


def test_image_ids_count_twice_at_60_fps(tmp_path: Path) -> None:
    scenario(tmp_path, fps=60, frames=120, boxes=[box(239), box(242)])
    problem = one_problem(tmp_path)
    assert problem.place == "image_id 242"
    assert "is frame 121" in problem.message


@pytest.mark.parametrize(
    ("xywh", "found"),
    [
        ((WIDTH, 0, 5, 5), "outside"),
        ((0, HEIGHT + 3, 5, 5), "outside"),
        ((-9, 0, 9, 5), "outside"),
        ((0, -9, 5, 8), "outside"),
        ((WIDTH - 5, 0, 9, 5), "reaches over"),
        ((0, -2, 9, 5), "reaches over"),
    ],
)
def test_a_box_outside_the_frame(tmp_path: Path, xywh: tuple[float, ...], found: str) -> None:
    scenario(tmp_path, boxes=[box(4, xywh)])
    problem = one_problem(tmp_path)
    assert (problem.level, problem.file, problem.place) == ("warning", BOXES, "image_id 4")
    assert found in problem.message
    assert f"{WIDTH}x{HEIGHT}" in problem.message


@pytest.mark.parametrize(
    ("start", "end", "level"), [(1.0, 2.03, None), (1.0, 2.5, "warning"), (2.0, 2.5, "error"), (70, 80, "error")]
)
def test_a_phase_after_the_end_of_the_video(tmp_path: Path, start: float, end: float, level: str | None) -> None:
    scenario(tmp_path, phases=[phase("0", 0.0, 1.0), phase("3", start, end)])
    if level is None:
        assert check_wts(tmp_path) == []
        return
    problem = one_problem(tmp_path)
    assert (problem.level, problem.file) == (level, CAPTIONS)
    assert problem.place == "phase 3 (action) in s_Camera1_0"


def test_videos_can_be_left_closed(tmp_path: Path) -> None:
    video = scenario(tmp_path)
    video.write_bytes(b"")
    assert check_wts(tmp_path, open_videos=False) == []


def test_progress_counts_the_videos(tmp_path: Path) -> None:
    scenario(tmp_path)
    add_external(tmp_path / "external" / "BDD_PC_5K", "video7")
    calls: list[tuple[int, int]] = []
    check_wts(tmp_path, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]


def test_a_missing_root(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        check_wts(tmp_path / "none")
