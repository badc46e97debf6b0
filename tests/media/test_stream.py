"""A stream of blocks gives the frames of `read_clip`; damage costs its own block, memory does not grow with length."""

from __future__ import annotations

import itertools
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from cityscribe.media.clips import read_clip
from cityscribe.media.container import VideoError
from cityscribe.media.stream import FrameBlock, announced_length_s, stream_frames
from cityscribe.media.video import probe, write_video
from cityscribe.records import Video
from tests.media.numbered_video import number_of, numbered_frame
from tests.media.test_containers import CODECS, write
from tests.media.test_video import uneven_times

REAL_VIDEOS = sorted((Path(__file__).parents[1] / "data" / "real_sample" / "videos").rglob("*.mp4"))


def blocks(path: Path, **options: float) -> list[FrameBlock]:
    return list(stream_frames(path, **options))  # type: ignore[arg-type]


def assert_as_clip(path: Path, video: Video, block: int = 7) -> None:
    clip = read_clip(path, video)
    assert video.fps is not None
    found = blocks(
        path, fps=video.fps, start_s=video.start_s, end_s=video.end_s, block=block, max_pixels=video.max_pixels
    )
    assert not any(part.problem for part in found), path
    assert all(len(part.frames) == block for part in found[:-1])
    assert [time for part in found for time in part.times_s] == pytest.approx(list(clip.times_s)), path
    frames = [frame for part in found for frame in part.frames]
    assert all(np.array_equal(a, b) for a, b in zip(frames, clip.frames, strict=True)), path


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stream") / "uneven.mp4"
    write_video(path, map(numbered_frame, range(120)), 25, times_s=uneven_times(120))
    return path


@pytest.mark.parametrize(
    "video",
    [
        Video("", fps=4),
        Video("", fps=29.97, start_s=1.3),
        Video("", fps=2, start_s=0.5, end_s=6.5, max_pixels=2000),
        Video("", fps=0.3),
        Video("", fps=100, end_s=0.5),
    ],
)
def test_frames_and_times_are_those_of_the_clip(video: Video, uneven: Path) -> None:
    assert_as_clip(uneven, video)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("libx264", "mkv"),
        ("libx264", "ts"),
        ("libx264 open gop", "mp4"),
        ("libx264", "avi"),
        ("mpeg4 b-frames", "avi"),
        ("libvpx", "webm"),
        ("mpeg2video", "mpg"),
        ("mjpeg", "mov"),
    ],
)
def test_containers_make_no_difference(name: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    assert write(path, name.partition(" ")[0], *CODECS[name])
    assert_as_clip(path, Video("", fps=7))


@pytest.mark.parametrize("path", REAL_VIDEOS[:2], ids=lambda path: path.name)
def test_real_videos(path: Path) -> None:
    assert_as_clip(path, Video("", fps=1.7, start_s=0.4))


def test_damage_costs_its_own_frames_and_is_said(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    write_video(whole, map(numbered_frame, range(250)), 25, key_every=25)
    torn = tmp_path / "torn.mp4"
    content = bytearray(whole.read_bytes())
    middle = content.index(b"mdat") + (len(content) - content.index(b"mdat")) // 2
    content[middle : middle + 600] = bytes(600)
    torn.write_bytes(content)
    found = blocks(torn, fps=5, block=10)
    bad = [part for part in found if part.problem]
    assert 1 <= len(bad) <= 2
    assert all(str(torn) in part.problem and " of 10 frames cannot be decoded" in part.problem for part in bad)
    assert all(len(part.frames) == 10 for part in found[:-1] if not part.problem)
    kept = [(time, frame) for part in found for time, frame in zip(part.times_s, part.frames, strict=True)]
    assert 40 <= len(kept) < 50
    assert all(number_of(np.asarray(frame)) == round(time * 25) for time, frame in kept)


def test_a_file_that_is_cut_short_says_where(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    write_video(whole, map(numbered_frame, range(250)), 25, key_every=25)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    *some, last = blocks(cut, fps=5, block=10)
    assert not last.frames
    assert "is cut short" in last.problem
    assert "of the 10.0 s" in last.problem
    assert 4 < some[-1].times_s[-1] < 8
    assert not any("cut short" in part.problem for part in blocks(cut, fps=5, end_s=3))
    assert announced_length_s(cut) == pytest.approx(10)


@pytest.mark.parametrize("end_s", [None, 100])
def test_a_span_behind_the_end_is_an_error(end_s: float | None, uneven: Path) -> None:
    with pytest.raises(VideoError, match=r"begins at 99 s, and the video ends at 13\.\d+ s"):
        list(stream_frames(uneven, fps=1, start_s=99, end_s=end_s))


def test_no_video_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    with pytest.raises(VideoError, match=r"a\.mp4: not a"):
        blocks(tmp_path / "a.mp4", fps=1)
    with pytest.raises(VideoError, match=r"b\.mp4"):
        blocks(tmp_path / "b.mp4", fps=1)


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    """Python's own memory at its highest, for one hour and for ten of them."""
    peaks = []
    for hours in (1, 10):
        path = tmp_path / f"{hours}.mp4"
        count = hours * 90
        times = [40.0 * n for n in range(count)]
        write_video(path, map(numbered_frame, itertools.islice(itertools.cycle(range(60)), count)), 25, times_s=times)
        tracemalloc.start()
        frames = 0
        for part in stream_frames(path, fps=0.1, block=32):
            frames += len(part.frames)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert frames == pytest.approx(hours * 360, abs=5)
    assert peaks[1] < 1.1 * peaks[0]
    assert probe(path).frames == 900
