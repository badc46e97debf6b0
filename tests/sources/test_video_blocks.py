"""What an entry says of its video arrives in the video block of its sample, through preparation and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cityscribe.media.clips import read_clip
from cityscribe.media.video import write_video
from cityscribe.prepare.conversations import prepare_conversations
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.records import Problem, Sample, Video, media_blocks, read_samples, video_of
from cityscribe.sources.llava import write_llava
from cityscribe.sources.messages import write_messages
from cityscribe.sources.reading import read_conversations
from cityscribe.sources.settings import DataSettings
from cityscribe.sources.sharegpt import write_sharegpt
from tests.media.numbered_video import numbered_frame

ANSWER = {"role": "assistant", "content": "It stops."}
OWN = {"start": 1, "end": 3, "fps": 2, "max_pixels": 2000}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_video(tmp_path / "clip.mp4", [numbered_frame(n) for n in range(40)], fps=10)
    return tmp_path


def asked(root: Path, block: dict, **video: object) -> tuple[list[Sample], list[Problem]]:
    """The samples of a file of messages with one video block, and one with plain text."""
    user = {"role": "user", "content": [{"type": "video", "video": "clip.mp4", **block}, {"type": "text", "text": "?"}]}
    plain = {"messages": [{"role": "user", "content": "Hello?"}, ANSWER]}
    (root / "train.json").write_text(json.dumps([{"messages": [user, ANSWER]}, plain]))
    data = DataSettings(source="messages", path=root, video=video)
    return read_conversations(data)


def videos_of(samples: list[Sample]) -> list[Video]:
    return [video_of(b) for sample in samples for b in media_blocks(sample.messages) if b["type"] == "video"]


@pytest.mark.parametrize(
    ("block", "defaults", "expected"),
    [
        ({}, {"fps": 2}, Video("clip.mp4", fps=2)),
        (
            {},
            {"frames": 8, "times": False, "max_pixels": 900},
            Video("clip.mp4", frames=8, times=False, max_pixels=900),
        ),
        (OWN, {"frames": 8}, Video("clip.mp4", 1, 3, fps=2, max_pixels=2000)),
        (
            {"video_start": 1.5, "nframes": 4},
            {"fps": 1, "max_frames": 9},
            Video("clip.mp4", 1.5, frames=4, max_frames=9),
        ),
        ({"total_pixels": 10**6}, {"fps": 1}, Video("clip.mp4", fps=1, max_total_pixels=10**6)),
    ],
)
def test_an_entry_comes_before_the_defaults(block: dict, defaults: dict, expected: Video, root: Path) -> None:
    samples, _ = asked(root, block, **defaults)
    assert videos_of(samples) == [expected]
    assert [sample.images for sample in samples] == [(), ()]


def test_without_defaults_a_video_becomes_images_of_the_frames_it_asks_for(root: Path) -> None:
    assert asked(root, {})[0][0].images == tuple(f"clip.mp4#t={n}%" for n in (12.5, 37.5, 62.5, 87.5))
    assert asked(root, OWN)[0][0].images == tuple(f"clip.mp4#t={t:.3f}" for t in (1, 1.5, 2, 2.5))


@pytest.mark.parametrize(
    ("block", "place", "said"),
    [
        ({"fps": 0}, "fps", "is 0"),
        ({"frames": 2.5}, "frames", "expected a whole number"),
        ({"fps": 1, "nframes": 3}, "fps", "stands beside a number of frames"),
        ({"start": 2, "end": 1}, "end", "is 1 s, not behind the start at 2 s"),
        ({"start": "soon"}, "start", "expected a number of seconds"),
    ],
)
def test_what_cannot_be_meant_is_an_error_with_its_place(block: dict, place: str, said: str, root: Path) -> None:
    samples, problems = asked(root, block, fps=1)
    assert len(samples) == 1  # the other one goes on
    (problem,) = [problem for problem in problems if problem.level == "error"]
    assert problem.file == "train.json"
    assert problem.place.endswith(place)
    assert said in problem.message


@pytest.mark.parametrize(
    ("block", "skipped", "warned"),
    [
        ({"start": 3.5, "fps": 1}, "", ""),
        ({"start": 9, "fps": 1}, "begins at 9 s", ""),
        ({"fps": 30}, "", "30 frames a second are asked for, and it has 10"),
        ({"end": 9, "fps": 1}, "", "ends at 4 s, before the 9 s asked for"),
    ],
)
def test_a_video_is_looked_at_before_any_training(
    block: dict, skipped: str, warned: str, root: Path, tmp_path: Path
) -> None:
    samples, _ = asked(root, block, fps=1)
    found: list[Problem] = []
    out = tmp_path / "run" / "prepared"
    prepare_conversations(samples, root, PrepareSettings(), out, problems=found)
    read = read_samples(out / "train.parquet")
    assert len(read) == (1 if skipped else 2)
    assert skipped in (out / "skipped.jsonl").read_text()
    assert bool(found) is bool(warned)
    assert all(warned in problem.message and problem.file == "clip.mp4" and problem.place for problem in found)
    for video in videos_of(read):
        assert read_clip(out / video.file, video).frames


@pytest.mark.parametrize("defaults", [{}, {"times": False, "grid": 4, "max_frames": 9, "max_total_pixels": 4000}])
@pytest.mark.parametrize(
    ("source", "write", "name"),
    [("messages", write_messages, "a.jsonl"), ("llava", write_llava, "a.json"), ("sharegpt", write_sharegpt, "a.json")],
)
def test_written_and_read_again_it_is_the_same(source: str, write, name: str, defaults: dict, root: Path) -> None:
    samples, _ = asked(root, OWN, fps=1, **defaults)
    (root / "train.json").unlink()
    write(samples, root / name)
    again, _ = read_conversations(DataSettings(source=source, path=root, video={"fps": 1}))
    assert videos_of(again) == videos_of(samples)
    assert [sample.messages for sample in again] == [sample.messages for sample in samples]
