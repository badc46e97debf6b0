"""Frames of videos as JPEG, and the images that `prepare` makes, or would make, of a phase.

Neighbouring frames are decoded together and kept for a while, because a reader steps or plays through them: a browser
that cannot play a video's codec is shown its frames one by one.
"""

from __future__ import annotations

import functools
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from cityscribe.media.images import open_image
from cityscribe.media.video import probe, read_frames
from cityscribe.prepare.drawing import COLOURS
from cityscribe.prepare.keyframe import KeyFrame
from cityscribe.prepare.pictures import render_one
from cityscribe.prepare.settings import PrepareSettings

CHUNK = 12
"""Frames that are decoded together."""

KEPT_CHUNKS = 24
"""About 60 MB at full HD."""

QUALITY = 85

THUMBNAIL = (400, 300)
"""Pixels at most, of a screen that draws two of them as one."""

KEPT_THUMBNAILS = 2000
"""About 40 MB."""


def frame_jpeg(video: Path, number: int) -> bytes:
    """One frame of a video by number. Raises VideoError where there is none, or it cannot be decoded."""
    first = number - number % CHUNK
    last = min(first + CHUNK, max(probe(video).frames, number + 1))
    return _chunk(video, first, last)[number]


def preview(video: Path, key: KeyFrame, kind: str, settings: PrepareSettings) -> bytes:
    """The image, of a kind of `settings.images`, that `prepare` makes of a key frame, as JPEG. Raises VideoError."""
    frame = read_frames(video, [key.frame])[key.frame]
    return _jpeg(render_one(frame, key, kind, settings))


def thumbnail(video: Path, key: KeyFrame) -> bytes:
    """A small picture of a key frame with its boxes, as JPEG. Raises VideoError."""
    return _thumbnail(video, key.frame, tuple(sorted(key.boxes.items())))


def thumbnail_of_image(path: Path) -> bytes:
    """A small picture of an image file, as JPEG. Raises ImageError and OSError."""
    picture = open_image(path).convert("RGB")
    picture.thumbnail(THUMBNAIL)
    return _jpeg(np.asarray(picture))


@functools.lru_cache(maxsize=KEPT_THUMBNAILS)
def _thumbnail(video: Path, number: int, boxes: tuple[tuple[str, tuple[float, float, float, float]], ...]) -> bytes:
    picture = Image.fromarray(np.ascontiguousarray(read_frames(video, [number])[number]))
    width = picture.width
    picture.thumbnail(THUMBNAIL)
    scale = picture.width / width
    draw = ImageDraw.Draw(picture)
    for role, (x, y, w, h) in boxes:
        left, top, right, bottom = scale * x, scale * y, scale * (x + w), scale * (y + h)
        # A white line around and within, so that blue is seen on blue.
        draw.rectangle((left - 3, top - 3, right + 3, bottom + 3), outline=(255, 255, 255), width=4)
        draw.rectangle((left - 2, top - 2, right + 2, bottom + 2), outline=COLOURS[role], width=2)
    return _jpeg(np.asarray(picture))


@functools.lru_cache(maxsize=KEPT_CHUNKS)
def _chunk(video: Path, first: int, last: int) -> dict[int, bytes]:
    frames = read_frames(video, range(first, last))
    return {number: _jpeg(frame) for number, frame in frames.items()}


def _jpeg(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frame)).save(buffer, format="JPEG", quality=QUALITY)
    return buffer.getvalue()
