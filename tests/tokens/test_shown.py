"""Video blocks: stored, read frame-exact, and for a model of images the same as their frames with their times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.media.clips import read_clip
from cityscribe.media.video import write_video
from cityscribe.records import (
    Sample,
    Video,
    image_block,
    message,
    read_samples,
    text_block,
    video_block,
    video_of,
    write_samples,
)
from cityscribe.tokens.encode import Encoder
from cityscribe.tokens.shown import read_media
from cityscribe.train.exact import check_tree
from cityscribe.train.groups import plan_groups
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tree_attention import tree_attention
from tests.media.numbered_video import number_of, numbered_frame

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]

ANSWER = message("assistant", text_block("It stops."))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 40 numbered frames at 10 a second."""
    folder = tmp_path_factory.mktemp("clips")
    write_video(folder / "clip.mp4", [numbered_frame(n) for n in range(40)], fps=10)
    return folder


def sample(video: Video, question: str = "What happens?") -> Sample:
    return Sample((message("user", video_block(video), text_block(question)), ANSWER), (), "clip")


@pytest.mark.parametrize(
    ("video", "frames", "times"),
    [
        (Video("clip.mp4", frames=4), [5, 15, 25, 35], [0.5, 1.5, 2.5, 3.5]),
        (Video("clip.mp4", start_s=1, end_s=2, frames=1), [15], [1.5]),
        (Video("clip.mp4", fps=1), [0, 10, 20, 30], [0, 1, 2, 3]),
        (Video("clip.mp4", start_s=0.5, end_s=1.5, fps=2), [5, 10], [0.5, 1.0]),
        (Video("clip.mp4", start_s=3.8, fps=1), [38], [3.8]),
    ],
)
def test_frames_are_those_of_their_times(video: Video, frames: list[int], times: list[float], folder: Path) -> None:
    clip = read_clip(folder / video.file, video)
    assert [number_of(np.array(frame)) for frame in clip.frames] == frames
    assert clip.times_s == pytest.approx(times)


def test_a_budget_of_pixels_keeps_the_shape(folder: Path) -> None:
    width, height = read_clip(folder / "clip.mp4", Video("clip.mp4", frames=1, max_pixels=56 * 24)).frames[0].size
    assert (width, height) == (56, 24)


@pytest.mark.parametrize("family", ["llava", "qwen2.5-vl", "internvl"])
def test_a_video_is_its_frames_with_their_times(family: str, load: Load, folder: Path) -> None:
    model, processor = load(family)
    encoder = Encoder(model, processor)
    one = sample(Video("clip.mp4", frames=2))
    shown = encoder.teach("one", one.messages, read_media("one", one.messages, one.images, folder))
    frames = read_clip(folder / "clip.mp4", Video("clip.mp4", frames=2)).frames
    written = [text_block("1.0 s: "), image_block(), text_block("3.0 s: "), image_block(), text_block("What happens?")]
    expected = encoder.teach("one", [message("user", *written), ANSWER], frames)
    assert shown.input_ids.tolist() == expected.input_ids.tolist()
    assert shown.trained.tolist() == expected.trained.tolist()
    assert shown.media_key == expected.media_key
    for name, value in expected.media_inputs.items():
        assert torch.equal(shown.media_inputs[name], value)


@pytest.mark.parametrize("family", ["llava", "internvl"])
def test_a_grid_is_one_picture_of_equidistant_frames(family: str, load: Load, folder: Path) -> None:
    """The thumbnail of TS-LLaVA."""
    model, processor = load(family)
    encoder = Encoder(model, processor)
    one = sample(Video("clip.mp4", frames=8, grid=6))
    (clip,) = read_media("one", one.messages, one.images, folder)
    shown = encoder.ask("one", one.messages[:1], [clip])
    width, height = clip.frames[0].size
    picture = Image.new("RGB", (3 * width, 2 * height))
    for place, number in enumerate((0, 1, 3, 4, 6, 7)):
        picture.paste(clip.frames[number], (place % 3 * width, place // 3 * height))
    times = ", ".join(f"{clip.times_s[n]:.1f} s" for n in (0, 1, 3, 4, 6, 7))
    written = [text_block(f"{times}: "), image_block(), text_block("What happens?")]
    expected = encoder.ask("one", [message("user", *written)], [picture])
    assert shown.key == expected.key


def test_samples_about_a_stretch_share_its_frames(load: Load, folder: Path) -> None:
    model, processor = load("llava")
    video = Video("clip.mp4", start_s=1, frames=3)
    samples = [sample(video, question) for question in ("Where?", "Who?", "How fast?")]
    (group,), _ = plan_groups(samples, folder, Encoder(model, processor), TrainSettings())
    assert [len(keys) for keys in group.media] == [3]
    attention = tree_attention(model, torch.device("cpu"), 10**4)
    assert check_tree(model, attention, [samples], folder, processor, TrainSettings()) < 1e-5
    (blind,), _ = plan_groups(samples, folder / "nowhere", Encoder(model, processor), TrainSettings(images=False))
    assert blind.media == ((),)


def test_video_blocks_come_back_from_parquet_and_others_are_stored_as_ever(tmp_path: Path) -> None:
    videos = [Video("a.mp4", frames=4), Video("b/c.mkv", start_s=1.5, end_s=9.0, fps=2.0, max_pixels=360_000)]
    user = message("user", image_block(), *map(video_block, videos), text_block("?"))
    mixed = Sample((user, ANSWER), ("i.png",), "g")
    write_samples(tmp_path / "videos.parquet", [mixed], videos=True)
    (read,) = read_samples(tmp_path / "videos.parquet")
    assert read == mixed
    assert [video_of(block) for block in read.messages[0]["content"] if block["type"] == "video"] == videos
    with pytest.raises(ValueError, match="videos=True"):
        write_samples(tmp_path / "none.parquet", [mixed])
    write_samples(tmp_path / "images.parquet", [Sample((ANSWER,), (), "g")])
    content = pq.read_schema(tmp_path / "images.parquet").field("messages").type.value_type.field("content").type
    assert [field.name for field in content.value_type] == ["type", "text"]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "video", "video": "gone.mp4", "frames": 2}, r"gone\.mp4: .*\(clip/long\)"),
        ({"type": "video", "video": "clip.mp4", "frames": 2, "start": 9.0}, r"begins at 9 s.*\(clip/long\)"),
        ({"type": "video", "video": "clip.mp4", "frames": 2, "fps": 1.0}, "either fps or frames"),
        ({"type": "video", "video": "clip.mp4"}, "either fps or frames"),
        ({"type": "video", "video": "clip.mp4", "frames": 0}, "frames of a video block: 0 is not above 0"),
        ({"type": "video", "video": "clip.mp4", "frames": 1, "start": 2.0, "end": 1.0}, "ends behind its start"),
        ({"type": "video", "video": "clip.mp4", "nframes": 1}, "no nframes"),
        ({"type": "video", "frames": 1}, "has a `video`"),
    ],
)
def test_what_cannot_be_shown_names_the_sample(block: dict, expected: str, load: Load, folder: Path) -> None:
    model, processor = load("llava")
    bad = Sample((message("user", block, text_block("?")), ANSWER), (), "clip")
    with pytest.raises(InputError, match=expected):
        plan_groups([bad], folder, Encoder(model, processor), TrainSettings())


def test_a_block_is_given_what_it_shows(load: Load) -> None:
    encoder = Encoder(*load("llava"))
    image = Image.new("RGB", (32, 32))
    with pytest.raises(InputError, match="one: a block of type video is given a Image"):
        encoder.ask("one", sample(Video("clip.mp4", frames=1)).messages[:1], [image])
    with pytest.raises(InputError, match="one: has 1 image blocks and 2 images"):
        encoder.ask("one", [message("user", image_block())], [image, image])
