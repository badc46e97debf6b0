"""The frames that a video block shows: a stretch of a video, by rate or by count, each with its time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cityscribe.media.video import VideoError, frame_at, probe, read_frames
from cityscribe.records import Video


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Clip:
    """Frames of a video as they are shown to a model."""

    frames: tuple[Image.Image, ...]
    times_s: tuple[float, ...]  # of each frame, from the first frame of the file on
    fps: float  # frames a second of the clip, not of the file
    length_s: float  # of the stretch


def clip_times(video: Video, duration_s: float) -> list[float]:
    """When frames are taken, in seconds from the first frame of the file on.

    By rate: at the start, and then every 1 / fps, before the end; where that would be more than `max_frames`, so many
    by count. By count: in the middle of each of so many equal parts. The end itself is never taken. Raises VideoError
    where the stretch does not begin before the video ends.
    """
    length_s = _length_s(video, duration_s)
    count = _count(video, length_s)
    if _by_rate(video, length_s):
        assert video.fps is not None
        return [video.start_s + n / video.fps for n in range(count)]
    return [video.start_s + length_s * (n + 0.5) / count for n in range(count)]


def read_clip(path: Path, video: Video) -> Clip:
    """The frames of a stretch of a video, none larger than its budget of pixels. Raises VideoError, naming the file."""
    duration_s = probe(path).duration_s
    times = clip_times(video, duration_s)
    length_s = _length_s(video, duration_s)
    numbers = [frame_at(path, time_s) for time_s in times]
    decoded = read_frames(path, numbers)
    budgets = [
        video.max_pixels,
        None if video.max_total_pixels is None else max(video.max_total_pixels // len(times), 1),
    ]
    most = min((budget for budget in budgets if budget is not None), default=None)
    # The same object where a frame is shown twice: it is preprocessed once.
    images = {number: within_pixels(Image.fromarray(pixels), most) for number, pixels in decoded.items()}
    fps = video.fps if video.fps is not None and _by_rate(video, length_s) else len(times) / length_s
    return Clip(tuple(images[number] for number in numbers), tuple(times), fps, length_s)


def _length_s(video: Video, duration_s: float) -> float:
    end_s = duration_s if video.end_s is None else min(video.end_s, duration_s)
    if video.start_s >= end_s:
        raise VideoError(f"{video.file}: begins at {video.start_s:g} s, and the video ends at {duration_s:g} s")
    return end_s - video.start_s


def _of_rate(video: Video, length_s: float) -> int:
    """How many frames the rate gives."""
    assert video.fps is not None
    return max(math.ceil(length_s * video.fps - 1e-6), 1)


def _by_rate(video: Video, length_s: float) -> bool:
    """Whether frames are taken by rate: it is given, and gives no more than `max_frames`."""
    return video.fps is not None and not (video.max_frames and _of_rate(video, length_s) > video.max_frames)


def _count(video: Video, length_s: float) -> int:
    if _by_rate(video, length_s):
        return _of_rate(video, length_s)
    wanted = video.max_frames if video.frames is None else video.frames
    assert wanted is not None
    return min(wanted, video.max_frames or wanted)


def within_pixels(image: Image.Image, pixels: int | None) -> Image.Image:
    """The image, made smaller in proportion where it has more pixels than that."""
    if pixels is None or image.width * image.height <= pixels:
        return image
    share = math.sqrt(pixels / (image.width * image.height))
    size = (max(math.floor(image.width * share), 1), max(math.floor(image.height * share), 1))
    return image.resize(size, Image.Resampling.BICUBIC)
