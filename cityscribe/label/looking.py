"""What the labellers say of a clip: boxes of the detectors and features of the readers, frame by frame."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypedDict

import numpy as np
from PIL import Image

from cityscribe.engine.members import Setup, open_engine
from cityscribe.engine.request import Engine
from cityscribe.files import InputError, write_bytes
from cityscribe.label.fusion import ScoredBox
from cityscribe.label.settings import LabelSettings
from cityscribe.media.video import frame_at, probe, read_frames
from cityscribe.media.video_index import frame_index_of
from cityscribe.models.object_detector import ObjectDetector, found_objects, load_object_detector
from cityscribe.progress import Progress
from cityscribe.prompts.library import PromptLibrary
from cityscribe.prompts.reader import FrameReading, SeenFeatures
from cityscribe.sources.boxes.track import Track
from cityscribe.sources.labels import frame_file

QUALITY = 92
BATCH = 8
"""Frames that go through a detector together."""

READ_BYTES = 256_000_000
"""Of decoded frames in memory."""


class ClipLine(TypedDict, total=False):
    """What was seen in a clip, a line of the journal."""

    clip: str
    why: str  # the video cannot be read
    frames: list[int]  # that were looked at
    times_s: list[float]
    boxes: list[list[list[list[object]]]]  # [detector][frame] -> [label, score, x, y, width, height]
    seen: list[list[dict[str, str]]]  # [reader][frame]


@dataclass
class Labellers:
    """Those who label, each loaded when it is first asked."""

    settings: LabelSettings
    library: PromptLibrary
    out: Path
    data: Path

    def __post_init__(self) -> None:
        self._detector: Callable[[str], ObjectDetector] = lru_cache(maxsize=None)(load_object_detector)
        self._engine: Callable[[str], Engine] = lru_cache(maxsize=None)(_open)

    def look(self, clip: str, video: Path, progress: Progress) -> ClipLine:
        """Write the frames of a clip, and ask everybody about them. Raises VideoError."""
        frames, times_s = looked_at(video, self.settings.every_s)
        boxes: list[list[list[list[object]]]] = [[] for _ in self.settings.detectors]
        info = probe(video)
        at_once = max(READ_BYTES // (3 * info.width * info.height), BATCH)
        for start in range(0, len(frames), at_once):
            pictures = read_frames(video, frames[start : start + at_once])
            for number, pixels in pictures.items():
                _write_frame(self.out / frame_file(clip, number), pixels)
            for place, labeller in enumerate(self.settings.detectors):
                boxes[place] += self._detected(labeller.model, list(pictures.values()))
        images = [(frame_file(clip, number),) for number in frames]
        reading = FrameReading(self.library, self.out, self.data, self._engine, progress=progress)
        seen = [_plain(labeller.reader.read(images, reading)) for labeller in self.settings.readers]
        return {"clip": clip, "frames": frames, "times_s": times_s, "boxes": boxes, "seen": seen}

    def _detected(self, model: str, pictures: Sequence[np.ndarray]) -> list[list[list[object]]]:
        detector = self._detector(model)
        found: list[list[list[object]]] = []
        for start in range(0, len(pictures), BATCH):
            batch = pictures[start : start + BATCH]
            for objects in found_objects(detector.model, detector.processor, batch, self.settings.least_score):
                found.append([[_called(detector.labels[one.label]), one.score, *one.xywh] for one in objects])
        return found


def scored_boxes(rows: Sequence[Sequence[object]]) -> list[ScoredBox]:
    """The boxes of a line of the journal."""
    return [
        ScoredBox(str(label), float(score), (float(x), float(y), float(w), float(h)))  # type: ignore[arg-type]
        for label, score, x, y, w, h in rows
    ]


def looked_at(video: Path, every_s: float) -> tuple[list[int], list[float]]:
    """The frames that are looked at, and their times from the first frame on. Raises VideoError."""
    info = probe(video)
    numbers = [frame_at(video, n * every_s) for n in range(int(info.duration_s / every_s) + 1)]
    frames = sorted({number for number in numbers if number < info.frames})
    known_s = frame_index_of(video).times_s
    return frames, [round(known_s[number], 4) for number in frames]


def _called(label: str) -> str:
    """Pedestrians and vehicles have many names, which have to be one for boxes to be fused."""
    return Track("", label, ()).role or label


def _plain(seen: Sequence[SeenFeatures]) -> list[dict[str, str]]:
    return [dict(each) for each in seen]


def _open(model: str) -> Engine:
    if not model:
        raise InputError("readers: a reader that asks a model names it here: {kind: model, model: FOLDER}")
    return open_engine("local", model, Setup(drafts=False))


def _write_frame(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coded = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(coded, format="JPEG", quality=QUALITY)
    write_bytes(path, coded.getvalue())
