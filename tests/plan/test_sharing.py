"""What sharing saves, by counts: an image or a clip counts once for its group, and once for each sample without."""

from __future__ import annotations

import pytest

from cityscribe.plan.sharing import GroupSize, frames_of_block, savings, sizes_of_samples
from cityscribe.records import Sample, Video, image_block, message, text_block, video_block


def samples(count: int, *blocks) -> list[Sample]:
    user = message("user", *blocks, text_block("What is it, and where?"))
    images = tuple("a.png" for block in blocks if block["type"] == "image")
    return [Sample((user, message("assistant", text_block("A car."))), images, "g") for _ in range(count)]


def test_an_image_counts_once_for_its_group() -> None:
    (group,) = sizes_of_samples(samples(10, image_block(), image_block()))
    assert (group.samples, group.images, group.videos) == (10, 2, ())
    saved = {saving.base: saving for saving in savings([group])}["llava-hf/llava-1.5-7b-hf"]
    assert saved.effective - saved.distinct == 9 * 2 * 576
    assert saved.times == pytest.approx((2 * 576 * 10 + 70) / (2 * 576 + 70))


def test_a_clip_counts_by_its_family() -> None:
    clip = video_block(Video("a.mp4", frames=32))
    (group,) = sizes_of_samples(samples(12, clip))
    saved = {saving.base: saving.effective - saving.distinct for saving in savings([group])}
    assert saved["llava-hf/llava-onevision-qwen2-7b-ov-hf"] == 11 * (32 * 14**2 + 1)
    assert saved["llava-hf/llava-1.5-7b-hf"] == 11 * 32 * 576
    assert savings([GroupSize(1, 1, (), 10)])[0].times == 1


@pytest.mark.parametrize(
    ("video", "frames"),
    [
        (Video("a", frames=8), 8),
        (Video("a", fps=2, start_s=1, end_s=4), 6),
        (Video("a", fps=2, start_s=1, end_s=4, max_frames=4), 4),
        (Video("a", fps=1), 10),
    ],
)
def test_frames_of_a_block_by_what_it_says(video: Video, frames: int) -> None:
    assert frames_of_block(video) == frames
