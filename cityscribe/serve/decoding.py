"""What runs in the process that decodes files from outside: images, frames of videos, the images of phases.

Such a file may be made to break its decoder. So this process has little to lose (it holds no model and no secret), may
take only so much memory, and is killed when it takes too long. Names are chosen by the one that asks.
"""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import av
import av.logging
from PIL import Image

from cityscribe.media.container import open_video, video_stream
from cityscribe.media.images import ImageError, image_size, open_image
from cityscribe.media.video import VideoError, VideoInfo, frame_at, ids_a_frame, probe, read_frames
from cityscribe.prepare.pictures import VideoJob, picture_video
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.serve.refusal import Refusal, disk_full, no_room
from cityscribe.traffic.scenario import PHASES, ROLES, Box, Phase, View, ViewKind

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")

DAMAGED = "the file is damaged or coded in a way that cannot be decoded"
LARGEST_FILE = 1 << 30
"""Bytes that may be written into one file."""


@dataclass(frozen=True, slots=True)
class Limits:
    megapixels: float  # of an image, or of a frame
    duration_s: float
    frames: int


@dataclass(frozen=True, slots=True)
class TimedBox:
    """A box at a time of the clip."""

    role: str
    time_s: float
    xywh: tuple[float, float, float, float]
    phase: int | None = None  # index into PHASES; None for every phase that it lies in


@dataclass(frozen=True, slots=True)
class PhaseImages:
    """The images of one phase, in the order in which the model sees them."""

    phase: Phase
    images: tuple[Path, ...]
    marked: tuple[str, ...]  # roles whose boxes are drawn
    note: str


def decode_files(connection: Connection, memory_mb: int) -> None:
    """Answer (function, arguments) with ("ok", result), ("refused", Refusal's arguments) or ("failed", kind)."""
    logging.disable()
    av.logging.set_level(av.logging.PANIC)
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours, checked before an image is decoded
    for limit, most in (
        (resource.RLIMIT_AS, memory_mb << 20),
        (resource.RLIMIT_FSIZE, LARGEST_FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    connection.send(("ok", None))
    while (task := connection.recv()) is not None:
        work, arguments = task
        connection.send(_outcome(work, arguments))


def _outcome(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        return "ok", work(*arguments)
    except Refusal as refusal:
        return "refused", (refusal.status, refusal.code, refusal.message)
    except (MemoryError, av.MemoryError):
        return "refused", (422, "decode_memory", "decoding the file takes more memory than is allowed")
    except Exception as error:
        if no_room(error):
            full = disk_full()
            return "refused", (full.status, full.code, full.message)
        if isinstance(error, VideoError | av.FFmpegError):
            return "refused", (422, "undecodable", DAMAGED)
        return "failed", type(error).__name__


def measure_image(source: Path, limits: Limits) -> tuple[int, int]:
    """Width and height of an image, by its head. Raises Refusal (422) for one that is larger than an image may be."""
    try:
        size = image_size(source)
    except ImageError as error:
        raise _undecodable(error) from error
    _check_size(*size, limits)
    return size


def decode_image(source: Path, target: Path, limits: Limits) -> None:
    """Write an image as PNG, upright. Raises Refusal (422) as `measure_image` does."""
    measure_image(source, limits)
    try:
        upright = open_image(source, formats=IMAGE_FORMATS)
    except ImageError as error:
        raise _undecodable(error) from error
    upright.save(target, format="PNG", compress_level=1)


def _undecodable(error: ImageError) -> Exception:
    return error.__cause__ if isinstance(error.__cause__, MemoryError) else Refusal(422, "undecodable", DAMAGED)


def measure_frames(source: Path, count: int, limits: Limits) -> tuple[int, tuple[int, int]]:
    """By how many frames `decode_frames` shows a video, and width and height of each, without decoding any.

    Raises Refusal (422) for a video that is too large or too long.
    """
    info = _checked(source, limits)
    return len(_middles(source, count, info)), (info.width, info.height)


def decode_frames(source: Path, folder: Path, count: int, limits: Limits) -> list[Path]:
    """Write `count` frames of a video, evenly spread over its time, each the middle of its part, as PNG; a short video
    has fewer. Returns the files. Raises Refusal (422) as `measure_frames` does."""
    paths = []
    wanted = _middles(source, count, _checked(source, limits))
    for number, frame in sorted(read_frames(source, wanted).items()):
        paths.append(folder / f"{number}.png")
        Image.fromarray(frame).save(paths[-1], format="PNG", compress_level=1)
    return paths


def _middles(source: Path, count: int, info: VideoInfo) -> list[int]:
    """The frames in the middle of each of `count` equal parts of a video."""
    middles = [(n + 0.5) / count * info.duration_s for n in range(count)]
    return sorted({min(frame_at(source, time_s), info.frames - 1) for time_s in middles})


def decode_phases(
    source: Path,
    folder: Path,
    phases: tuple[Phase, ...],
    boxes: tuple[TimedBox, ...],
    view_kind: ViewKind,
    settings: PrepareSettings,
    limits: Limits,
) -> list[PhaseImages]:
    """The images of each phase, as `prepare` makes them; without phases, of five equal parts of the clip.

    Raises Refusal (422) for a phase or a box that lies behind the end of the clip.
    """
    info = _checked(source, limits)
    if not phases:
        part_s = info.duration_s / len(PHASES)
        phases = tuple(Phase(n, n * part_s, (n + 1) * part_s) for n in range(len(PHASES)))
    for phase in phases:
        if phase.start_s >= info.duration_s:
            name = PHASES[phase.number]
            raise Refusal(422, "phase_outside", f"phase {name} starts after the clip, which has {info.duration_s:g} s")
    by_role: dict[str, list[Box]] = {role: [] for role in ROLES}
    for n, timed in enumerate(boxes):
        by_role[timed.role] += _boxes(source, timed, n, phases, info)
    view = View(
        name="clip",
        kind=view_kind,
        video=source,
        phases=phases,
        boxes={role: tuple(sorted(found, key=lambda box: box.image_id)) for role, found in by_role.items() if found},
    )
    job = VideoJob(split="test", scenario="clip", view=view, phases=phases, folder=".", raw_frames=True)
    pictures, _ = picture_video(job, settings, folder)
    by_phase = {picture.phase: picture for picture in pictures}
    if len(by_phase) < len(phases):
        raise Refusal(422, "undecodable", "the clip is damaged where one of its phases is")
    return [
        PhaseImages(phase, tuple(folder / image for image in found.images), found.marked, found.note)
        for phase in phases
        for found in [by_phase[phase.number]]
    ]


def _boxes(source: Path, timed: TimedBox, place: int, phases: tuple[Phase, ...], info: VideoInfo) -> list[Box]:
    """A box in the numbering of annotations, once for every phase that it is of."""
    frame = frame_at(source, timed.time_s)
    image_id = frame * ids_a_frame(info.fps)
    if timed.phase is not None:
        of = [phase for phase in phases if phase.number == timed.phase]
    else:
        of = [phase for phase in phases if phase.start_s <= timed.time_s <= phase.end_s]
    x, y, width, height = timed.xywh
    if x >= info.width or y >= info.height or x + width <= 0 or y + height <= 0:
        raise Refusal(422, "box_outside", f"boxes[{place}] lies outside the picture of {info.width}x{info.height}")
    if not of:
        raise Refusal(422, "box_outside", f"boxes[{place}], at {timed.time_s:g} s, lies in none of the phases")
    return [Box(image_id, timed.xywh, phase.number) for phase in of]


def _checked(source: Path, limits: Limits) -> VideoInfo:
    """What a video is. Raises Refusal (422) for one that is too large, judged by its header before all is read."""
    with open_video(source) as container:
        stream = video_stream(container)
        _check_size(stream.width or 0, stream.height or 0, limits)
        _check_length((container.duration or 0) / av.time_base, stream.frames, limits)
    info = probe(source)
    _check_size(info.width, info.height, limits)
    _check_length(info.duration_s, info.frames, limits)
    return info


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.megapixels * 1e6:
        raise Refusal(422, "too_many_pixels", f"{width}x{height} pixels; up to {limits.megapixels:g} million are taken")


def _check_length(duration_s: float, frames: int, limits: Limits) -> None:
    if duration_s > limits.duration_s:
        raise Refusal(422, "too_long", f"a video of {duration_s:.1f} s; up to {limits.duration_s:g} s are taken")
    if frames > limits.frames:
        raise Refusal(422, "too_many_frames", f"a video of {frames} frames; up to {limits.frames} are taken")
