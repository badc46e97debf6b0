"""What stands for each span of a clip: one frame with its road users marked, as `prepare` shows a phase to a model.

WORK/ID/0_local.jpg, 0_global.jpg    what the model sees of span 0, by `prepare.images`
WORK/ID/0.jpg                        what people see of it: the frame with its boxes, not wider than THUMBNAIL
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cityscribe.media.video import VideoInfo, frame_at, probe, read_good_frames
from cityscribe.prepare.appearance import APPEARANCE, best_appearances
from cityscribe.prepare.keyframe import KeyFrame, key_frame
from cityscribe.prepare.pictures import render_noted, render_one, write_jpeg
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.traffic.scenario import ROLES, Phase, View

THUMBNAIL = 480
"""Pixels of the longer side of a picture for people."""


@dataclass(frozen=True, slots=True)
class ClipPictures:
    """One span as it is shown; without images, `problem` says why there are none."""

    images: tuple[Path, ...] = ()  # for the model, in the order of the settings
    thumbnail: Path = Path()
    time_s: float = 0.0  # of its frame
    marked: tuple[str, ...] = ()  # roles whose boxes are drawn
    problem: str = ""


def picture_spans(view: View, settings: PrepareSettings, folder: Path) -> list[ClipPictures]:
    """The pictures of a view whose phases are spans and whose boxes are labelled with them, in their order.

    A span with a box shows the frame of its pedestrian's first one, else of its vehicle's; one without shows the frame
    in its middle. A frame that cannot be read costs its span alone. Raises VideoError for a video that cannot be
    opened.
    """
    info = probe(view.video)
    keys = [_key(view, phase, info) for phase in view.phases]
    best = best_appearances([view])[:1] if APPEARANCE in settings.images else []
    wanted = {key.frame for key in keys} | {key.frame for _, key in best}
    frames, unread = read_good_frames(view.video, sorted(wanted))
    appearance = next(
        (render_one(frames[k.frame], k, APPEARANCE, settings) for _, k in best if k.frame in frames), None
    )
    pictures = []
    for phase, key in zip(view.phases, keys, strict=True):
        if key.frame in unread:
            pictures.append(ClipPictures(problem=unread[key.frame].removeprefix(f"{view.video}: ")))
            continue
        pictures.append(_write(folder, phase.number, frames[key.frame], key, appearance, settings, info))
    return pictures


def _key(view: View, phase: Phase, info: VideoInfo) -> KeyFrame:
    key = key_frame(view, phase, info)
    if key.boxes or phase.start_s >= info.duration_s:
        return key
    middle = frame_at(view.video, (phase.start_s + min(phase.end_s, info.duration_s)) / 2)
    return KeyFrame(min(middle, info.frames - 1))


def _write(
    folder: Path,
    number: int,
    frame: np.ndarray,
    key: KeyFrame,
    appearance: np.ndarray | None,
    settings: PrepareSettings,
    info: VideoInfo,
) -> ClipPictures:
    paths = []
    for kind, (image, note) in zip(settings.images, render_noted(frame, key, settings), strict=True):
        path = folder / f"{number}_{kind}.jpg"
        if kind == APPEARANCE and appearance is not None:
            write_jpeg(path, appearance, settings)
        else:
            write_jpeg(path, image, settings, note)
        paths.append(path)
    small = settings.model_copy(update={"image_size": THUMBNAIL, "jpeg_quality": 80, "draw_boxes": True})
    write_jpeg(folder / f"{number}.jpg", render_one(frame, key, "global", small), small)
    seen = {*key.boxes, *(["pedestrian"] if appearance is not None else [])}
    marked = tuple(role for role in ROLES if role in seen) if settings.draw_boxes else ()
    return ClipPictures(tuple(paths), folder / f"{number}.jpg", key.frame / info.fps, marked)
