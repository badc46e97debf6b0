"""Frames of videos as JPEG, and the images that `prepare` makes, or would make, of a phase.

Neighbouring frames are decoded together and kept for a while, because a reader steps or plays through them: a browser
that cannot play a video's codec is shown its frames one by one.
"""

from __future__ import annotations

import functools
import io
from pathlib import Path

import numpy as np
from PIL import Image

from cityscribe.media.video import probe, read_frames
from cityscribe.prepare.keyframe import KeyFrame
from cityscribe.prepare.pictures import render_one
from cityscribe.prepare.settings import PrepareSettings

CHUNK = 12
"""Frames that are decoded together."""

KEPT_CHUNKS = 24
"""About 60 MB at full HD."""

QUALITY = 85


def frame_jpeg(video: Path, number: int) -> bytes:
    """One frame of a video by number. Raises VideoError where there is none, or it cannot be decoded."""
    first = number - number % CHUNK
    last = min(first + CHUNK, max(probe(video).frames, number + 1))
    return _chunk(video, first, last)[number]


def preview(video: Path, key: KeyFrame, kind: str, settings: PrepareSettings) -> bytes:
    """The image, of a kind of `settings.images`, that `prepare` makes of a key frame, as JPEG. Raises VideoError."""
    frame = read_frames(video, [key.frame])[key.frame]
    return _jpeg(render_one(frame, key, kind, settings))


@functools.lru_cache(maxsize=KEPT_CHUNKS)
def _chunk(video: Path, first: int, last: int) -> dict[int, bytes]:
    frames = read_frames(video, range(first, last))
    return {number: _jpeg(frame) for number, frame in frames.items()}


def _jpeg(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frame)).save(buffer, format="JPEG", quality=QUALITY)
    return buffer.getvalue()
