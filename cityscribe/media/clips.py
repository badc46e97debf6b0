"""The frames that a video block shows: a stretch of a video, by rate or by count, each with its time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cityscribe.media.video import VideoError, frame_at, probe, read_frames
from cityscribe.records import Video


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Frames of a video as they are shown to a model."""

    frames: tuple[Image.Image, ...]
    times_s: tuple[float, ...]  # of each frame, from the first frame of the file on


def clip_times(video: Video, duration_s: float) -> list[float]:
    """When frames are taken, in seconds from the first frame of the file on.

    By rate: at the start, and then every 1 / fps. By count: in the middle of each of so many equal parts. Raises
    VideoError where the stretch does not begin before the video ends.
    """
    end_s = duration_s if video.end_s is None else min(video.end_s, duration_s)
    if video.start_s >= end_s:
        raise VideoError(f"{video.file}: begins at {video.start_s:g} s, and the video ends at {duration_s:g} s")
    length_s = end_s - video.start_s
    if video.frames is not None:
        return [video.start_s + length_s * (n + 0.5) / video.frames for n in range(video.frames)]
    if video.fps is None:
        raise AssertionError(f"{video.file}: neither a rate nor a count of frames")
    return [video.start_s + n / video.fps for n in range(max(math.ceil(length_s * video.fps - 1e-6), 1))]


def read_clip(path: Path, video: Video) -> Clip:
    """The frames of a stretch of a video, none larger than its budget of pixels. Raises VideoError, naming the file."""
    times = clip_times(video, probe(path).duration_s)
    numbers = [frame_at(path, time_s) for time_s in times]
    decoded = read_frames(path, numbers)
    # The same object where a frame is shown twice: it is preprocessed once.
    images = {number: within_pixels(Image.fromarray(pixels), video.max_pixels) for number, pixels in decoded.items()}
    return Clip(tuple(images[number] for number in numbers), tuple(times))


def within_pixels(image: Image.Image, pixels: int | None) -> Image.Image:
    """The image, made smaller in proportion where it has more pixels than that."""
    if pixels is None or image.width * image.height <= pixels:
        return image
    share = math.sqrt(pixels / (image.width * image.height))
    size = (max(math.floor(image.width * share), 1), max(math.floor(image.height * share), 1))
    return image.resize(size, Image.Resampling.BICUBIC)
