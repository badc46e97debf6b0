"""From one video to the images of its phases. This is what the worker processes of `prepare` do.

A video is opened once for all of its phases: key frames are found, decoded together, marked, cropped and stored as JPEG
files with fixed settings, so that equal input gives equal bytes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cityscribe.files import InputError, write_bytes
from cityscribe.media.image_boxes import boxes_comment
from cityscribe.media.video import VideoError, VideoInfo, probe, read_frames, read_good_frames, write_video
from cityscribe.prepare.appearance import APPEARANCE, best_appearances
from cityscribe.prepare.drawing import draw_boxes, draw_gaze
from cityscribe.prepare.geometry import XYWH, PixelRect
from cityscribe.prepare.keyframe import KeyFrame, key_frame, phase_frames
from cityscribe.prepare.randomise import randomised
from cityscribe.prepare.redacting import comment, covered
from cityscribe.prepare.registries import IMAGES
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.prepare.skipped import Skip, What
from cityscribe.records import Video
from cityscribe.redact.cover import RedactionError
from cityscribe.traffic.prompts import GAZE
from cityscribe.traffic.scenario import PHASES, ROLES, Phase, View

VIDEO_CRF = 12
"""Of videos that are written of a phase: thin coloured lines stay visible."""


@dataclass(frozen=True, slots=True)
class VideoJob:
    """The phases of one view that need images, and the folder for them, relative to that of the prepared data."""

    split: str
    scenario: str
    view: View  # its boxes chosen and labelled with phases
    phases: tuple[Phase, ...]
    folder: str
    raw_frames: bool  # a phase without boxes gives its raw frame; otherwise it gives nothing
    others: tuple[View, ...] = ()  # of the scenario, for the image of the pedestrian's appearance

    def random_name(self, view: View, frame: int) -> str:
        """By which the change of a frame of a view is drawn; empty where frames stay as they are."""
        return f"{self.scenario}/{view.name}/{frame}" if self.split == "train" else ""


@dataclass(frozen=True, slots=True)
class PhasePictures:
    """The images of one phase: paths in the order of the settings, relative to the folder of the prepared data."""

    phase: int
    images: tuple[str, ...]
    marked: tuple[str, ...]  # roles drawn, and "gaze"
    note: str
    video: Video | None = None  # in the place of images


def picture_video(
    job: VideoJob, settings: PrepareSettings, out: Path, *, resume: bool = False
) -> tuple[list[PhasePictures], list[Skip]]:
    """Write the images of a job. What a broken video cannot give is left out, with its reason; it never raises.

    With `resume` the images that are there already are kept, and only what is missing is decoded. Raises InputError
    where an image cannot be written.
    """
    skips: list[Skip] = []

    def skip(what: What, why: str, phase: int = -1, role: str = "") -> None:
        skips.append(Skip(job.split, job.scenario, job.view.name, what, why, phase, role))

    try:
        info = probe(job.view.video)
        chosen = {phase.number: key_frame(job.view, phase, info, with_gaze=settings.draw_gaze) for phase in job.phases}
    except VideoError as error:
        skip("video", str(error))
        return [], skips
    for lost in info.what_is_lost():
        skip("video", f"{job.view.video}: {lost}")
    for number, key in chosen.items():
        for role, why in key.left_out:
            skip("box", why, number, role)
    if not job.raw_frames:
        for number in [number for number, key in chosen.items() if not key.boxes]:
            skip("phase", chosen.pop(number).note, number)
    seen = best_appearances((job.view, *job.others)) if chosen and APPEARANCE in settings.images else []
    shared = f"{job.folder}/{APPEARANCE}.jpg" if seen else ""
    if settings.frames > 1:
        return [*_series(job, chosen, info, settings, out, resume, skip)], skips
    paths = {number: _paths(job, number, shared, settings) for number in chosen}
    done = {number for number in chosen if resume and all((out / path).is_file() for path in paths[number])}
    missing = {number: key for number, key in chosen.items() if number not in done}
    unseen = [] if not missing or (resume and (out / shared).is_file()) else seen
    more = [key.frame for view, key in unseen[:1] if view.name == job.view.name]
    frames = _read(job.view.video, missing, lambda number, why: skip("video", why, number), more)
    if unseen and not _write_appearance(out / shared, unseen, job, frames, settings):
        shared = ""  # no frame of it is good
        paths = {number: _paths(job, number, shared, settings) for number in chosen}
    pictures = []
    for number, key in chosen.items():
        if number not in done:
            if key.frame not in frames:
                continue
            try:
                name = job.random_name(job.view, key.frame)
                images = render_noted(frames[key.frame], key, settings, name)
            except RedactionError as error:
                skip("image", str(error), number)
                continue
            for path, (image, note) in zip(paths[number], images, strict=True):
                if path != shared:
                    write_jpeg(out / path, image, settings, note)
        drawn = {*key.boxes, *(["pedestrian"] if shared else [])}
        marked = tuple(role for role in ROLES if role in drawn) if settings.draw_boxes else ()
        marked += (GAZE,) if key.gaze is not None else ()
        pictures.append(PhasePictures(number, paths[number], marked, key.note))
    return pictures, skips


def _series(
    job: VideoJob,
    chosen: Mapping[int, KeyFrame],
    info: VideoInfo,
    settings: PrepareSettings,
    out: Path,
    resume: bool,
    skip: Callable[..., None],
) -> Iterator[PhasePictures]:
    """Several frames of each phase, as images or as a video."""
    phases = {phase.number: phase for phase in job.phases}
    as_video = settings.frames_as == "video"
    shown = one_of("global", settings) if as_video else settings
    for number, key in chosen.items():
        keys = phase_frames(job.view, phases[number], info, settings.frames)
        frames, unread = read_good_frames(job.view.video, [each.frame for each in keys])
        for why in unread.values():
            skip("video", why, number)
        keys = [each for each in keys if each.frame in frames]
        if not keys:
            continue
        drawn = {role for each in keys for role in each.boxes}
        marked = tuple(role for role in ROLES if role in drawn) if settings.draw_boxes else ()
        stem = f"{job.folder}/{number}_{PHASES[number]}"
        try:
            rendered = [
                render_noted(frames[each.frame], each, shown, job.random_name(job.view, each.frame)) for each in keys
            ]
        except RedactionError as error:
            skip("image", str(error), number)
            continue
        if as_video:
            if not (resume and (out / f"{stem}.mp4").is_file()):
                (out / stem).parent.mkdir(parents=True, exist_ok=True)
                rate = len(keys) / max(phases[number].end_s - phases[number].start_s, 1 / info.fps)
                write_video(out / f"{stem}.mp4", [_even(image) for ((image, _),) in rendered], rate, crf=VIDEO_CRF)
            yield PhasePictures(number, (), marked, key.note, Video(f"{stem}.mp4", frames=len(keys)))
            continue
        paths = []
        for place, images in enumerate(rendered):
            for kind, (image, note) in zip(settings.images, images, strict=True):
                paths.append(f"{stem}_{place}_{kind}.jpg")
                if not (resume and (out / paths[-1]).is_file()):
                    write_jpeg(out / paths[-1], image, settings, note)
        yield PhasePictures(number, tuple(paths), marked, key.note)


def _even(image: np.ndarray) -> np.ndarray:
    """Without the last row or column of an odd number of them, which H.264 does not take."""
    return image[: len(image) // 2 * 2, : image.shape[1] // 2 * 2]


def render(frame: np.ndarray, key: KeyFrame, settings: PrepareSettings) -> list[np.ndarray]:
    """The images of a key frame in the order of the settings, RGB uint8: I-hat and its cropped view I-hat-m (Eq. 6).

    What `settings.redact` names is covered first. Raises RedactionError where it cannot be looked for.
    """
    return [image for image, _ in render_noted(frame, key, settings)]


def render_noted(
    frame: np.ndarray, key: KeyFrame, settings: PrepareSettings, random_name: str = ""
) -> list[tuple[np.ndarray, str]]:
    """The same, each with the comment of its file: what was covered in the frame, and the boxes on the image where they
    are to be stored; empty where there is nothing to say. A frame with a name is changed at random, as
    `settings.randomise` has it."""
    height, width = frame.shape[:2]
    frame, note = covered(frame, key.boxes, settings)
    if random_name:
        frame = randomised(frame, random_name, settings.randomise)
    if settings.draw_boxes:
        frame = draw_boxes(frame, key.boxes, box_scale=settings.box_scale, line_width=settings.line_width)
    if key.gaze is not None:
        frame = draw_gaze(frame, key.gaze, line_width=settings.line_width)
    parts = [IMAGES[kind](key.boxes, width, height, settings) for kind in settings.images]
    return [
        (
            frame[part.top : part.bottom, part.left : part.right],
            "\n".join(line for line in (note, _boxes_on(part, key.boxes, settings)) if line),
        )
        for part in parts
    ]


def _boxes_on(part: PixelRect, boxes: Mapping[str, XYWH], settings: PrepareSettings) -> str:
    """The line of a comment with the boxes on a part of a frame, in the order of ROLES."""
    if not settings.store_boxes:
        return ""
    wide, high = part.right - part.left, part.bottom - part.top
    shares = [
        ((x - part.left) / wide, (y - part.top) / high, (x + w - part.left) / wide, (y + h - part.top) / high)
        for x, y, w, h in (boxes[role] for role in ROLES if role in boxes)
    ]
    return boxes_comment([each for each in shares if each[0] < 1 and each[1] < 1 and each[2] > 0 and each[3] > 0])


def render_one(frame: np.ndarray, key: KeyFrame, kind: str, settings: PrepareSettings) -> np.ndarray:
    """One image of a key frame, of a kind that `settings.images` can name."""
    return render(frame, key, one_of(kind, settings))[0]


def one_of(kind: str, settings: PrepareSettings) -> PrepareSettings:
    """The settings for one kind of image alone."""
    return settings.model_copy(update={"images": (kind,)})


def _paths(job: VideoJob, number: int, shared: str, settings: PrepareSettings) -> tuple[str, ...]:
    """The images of a phase. One that shares no image of the pedestrian's appearance has that of its own pedestrian."""
    return tuple(
        shared if shared and kind == APPEARANCE else f"{job.folder}/{number}_{PHASES[number]}_{kind}.jpg"
        for kind in settings.images
    )


def _write_appearance(
    path: Path,
    seen: Sequence[tuple[View, KeyFrame]],
    job: VideoJob,
    frames: Mapping[int, np.ndarray],
    settings: PrepareSettings,
) -> bool:
    """Write the image that the phases share, from the first of the key frames that is good. `frames` are some of the
    job's view. Returns whether there was one."""
    for view, key in seen:
        try:
            known = frames.get(key.frame) if view.name == job.view.name else None
            frame = read_frames(view.video, [key.frame])[key.frame] if known is None else known
            name = job.random_name(view, key.frame)
            ((image, note),) = render_noted(frame, key, one_of(APPEARANCE, settings), name)
        except (VideoError, RedactionError):
            continue
        write_jpeg(path, image, settings, note)
        return True
    return False


def _read(
    video: Path, chosen: Mapping[int, KeyFrame], failed: Callable[[int, str], None], more: Sequence[int] = ()
) -> dict[int, np.ndarray]:
    """The frames by number, and `more` of them. Where one fails they are read singly, so that only the phases that need
    it fail."""
    frames, unread = read_good_frames(video, sorted({*more, *(key.frame for key in chosen.values())}))
    for number, key in chosen.items():
        if key.frame in unread:
            failed(number, unread[key.frame])
    return frames


def remove_partial(folder: Path) -> None:
    """Remove what a killed call was writing into a folder."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".partial"):
                Path(parent, name).unlink(missing_ok=True)


def fit(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """A width and height scaled down so that the longer one is `longest`; unchanged if that is 0 or not smaller."""
    width, height = size
    if not 0 < longest < max(size):
        return size
    return max(round(width * longest / max(size)), 1), max(round(height * longest / max(size)), 1)


def write_jpeg(path: Path, image: np.ndarray, settings: PrepareSettings, note: str = "") -> None:
    """Write an image (RGB uint8) as the settings have it, with a comment in the file where there is a note, whole or
    not at all. Raises InputError where it cannot be."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    size = fit(picture.size, settings.image_size)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    content = io.BytesIO()
    # Without subsampling (4:4:4) a thin coloured line keeps its colour.
    picture.save(content, format="JPEG", quality=settings.jpeg_quality, subsampling=0, **comment(note))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content.getvalue(), shared=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
