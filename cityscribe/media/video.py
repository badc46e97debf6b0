"""Frame-exact access to videos.

A frame's number is its place in the order in which the frames are shown, counted from 0, and it is found by timestamp
(`cityscribe.media.video_index`). So variable frame rates, B-frames and start offsets make no difference, and a decoder
that drops a frame cannot shift those behind it.

Annotations number frames in their own way: `frame_index` maps an `image_id` to a frame number.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange

from cityscribe.media.container import VideoError, open_video, quarter_turns, reason, video_stream
from cityscribe.media.counted import decode_in_order
from cityscribe.media.video_index import FrameIndex, FramePlace, VideoInfo, frame_index_of

__all__ = [
    "VideoError",
    "VideoInfo",
    "frame_at",
    "frame_index",
    "probe",
    "read_frames",
    "read_good_frames",
    "write_video",
]

TIME_TOLERANCE_S = 6e-4
"""A time this little before a frame means that frame: annotations round to milliseconds, files to their ticks."""

BT601 = 6
"""AVCOL_SPC_SMPTE170M, the matrix by which RGB is converted."""

TICKS_A_SECOND = (90_000, 10_000, 1_000)
"""Of a file that is written with its own timestamps. The usual frame times are whole multiples of the first; the others
are for gaps of hours and days, since MP4 stores the time from one frame to the next in 31 bits."""

REORDERED = 4
"""Frames over which a B-frame may be moved."""


def ids_a_frame(fps: float) -> int:
    """How many `image_id`s of a WTS annotation share a frame.

    The frames of 60-fps videos were written twice when they were annotated (`frame_extraction.py` of the WTS data set:
    59 < fps < 61). The frames of all other videos are numbered as they are.
    """
    return 2 if 59 < fps < 61 else 1


def frame_index(image_id: int, fps: float) -> int:
    """The frame number that an `image_id` of a WTS annotation means."""
    return image_id // ids_a_frame(fps)


def probe(path: Path) -> VideoInfo:
    """Size, average frames per second, number of frames and duration of a video.

    A file that is cut short gives its good frames and `complete=False`. Raises VideoError where not one frame is good.
    """
    return frame_index_of(path).info


def frame_at(path: Path, time_s: float) -> int:
    """The number of the frame shown at a time: the last one whose timestamp (from the first frame on) is not later.

    "Not later" up to TIME_TOLERANCE_S. Times before the first frame give 0, times after the last one the last. Raises
    VideoError for an unreadable file.
    """
    return max(bisect_right(frame_index_of(path).times_s, time_s + TIME_TOLERANCE_S) - 1, 0)


def read_frames(path: Path, indices: Sequence[int]) -> dict[int, np.ndarray]:
    """The wanted frames by frame number, each RGB uint8 [height, width, 3], rotated as the file says.

    Only what the wanted frames need is read and decoded: from an instant refresh (or the start of the file) on, without
    the frames between that no other frame refers to. Raises VideoError where a wanted frame does not exist, or is
    damaged itself or by something decoded before it; whether it does is a matter of that frame alone, not of the others
    that are asked for.
    """
    wanted = sorted(set(indices))
    if not wanted:
        return {}
    index = frame_index_of(path)
    last = index.info.frames - 1
    if wanted[0] < 0:
        raise VideoError(f"{path}: there is no frame {wanted[0]}, frames are counted from 0")
    if wanted[-1] > last:
        why = "the video ends there" if index.info.complete else "the file is cut short or damaged behind it"
        raise VideoError(f"{path}: frame {wanted[-1]} cannot be read, the last good frame is {last}: {why}")
    if not index.places:
        with open_video(path) as container:
            return _read_counted(path, container, index, wanted)
    try:
        with open_video(path) as container:
            return _read_numbered(path, container, index, wanted, leap=True)
    except VideoError:
        # Leaping over packets may miss what a damaged file still gives, and cannot tell where its damage begins.
        with open_video(path) as container:
            return _read_numbered(path, container, index, wanted, leap=False)


def read_good_frames(path: Path, indices: Sequence[int]) -> tuple[dict[int, np.ndarray], dict[int, str]]:
    """The wanted frames that are good by number, and why each of the others cannot be read."""
    try:
        return read_frames(path, indices), {}
    except VideoError:
        pass
    frames: dict[int, np.ndarray] = {}
    unread: dict[int, str] = {}
    for number in sorted(set(indices)):
        try:
            frames |= read_frames(path, [number])
        except VideoError as error:
            unread[number] = str(error)
    return frames, unread


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    fps: Fraction | float,
    *,
    times_s: Sequence[float] | None = None,
    crf: int = 20,
    preset: str = "veryfast",
    key_every: int = 48,
    b_frames: int = 2,
) -> int:
    """Write frames (RGB uint8 [height, width, 3], even sizes) as H.264 yuv420p in MP4, whole or not at all.

    Equal arguments give equal bytes: one thread, fixed settings, no dates. `times_s` gives each frame its own time
    (increasing, seconds) in place of `fps`, to 1/90000 s, to a millisecond where frames are days apart; `key_every`
    frames lie between key frames at most, `b_frames` B-frames in a row at most. Returns how many frames were written.
    Raises VideoError naming the file where it cannot be written.
    """
    rate = Fraction(fps).limit_denominator(1001)
    partial = path.with_name(path.name + ".partial")
    encoder = {"crf": str(crf), "preset": preset, "x264-params": f"threads=1:lookahead-threads=1:bframes={b_frames}"}
    muxer = {"movflags": "+faststart", "fflags": "+bitexact"}
    tick_s = 1 / rate if times_s is None else Fraction(1, _ticks_a_second(path, times_s))
    if times_s is not None and tick_s != Fraction(1, TICKS_A_SECOND[0]):
        muxer["video_track_timescale"] = str(tick_s.denominator)
    size: tuple[int, int] | None = None
    written = 0
    try:
        with av.open(f"file:{partial}", "w", format="mp4", container_options=muxer) as container:
            stream: Any = container.add_stream("libx264", rate=rate, options=encoder)
            stream.pix_fmt = "yuv420p"
            stream.codec_context.thread_count = 1
            stream.codec_context.gop_size = key_every
            # Said in the file, because players take large pictures for BT.709 otherwise.
            stream.codec_context.colorspace = BT601
            stream.codec_context.color_range = ColorRange.MPEG
            stream.codec_context.time_base = tick_s
            for picture in frames:
                if size is None:
                    size = picture.shape[:2]
                    stream.height, stream.width = size
                    if size[0] % 2 or size[1] % 2:
                        raise ValueError(f"frames of {size[1]}x{size[0]} pixels: yuv420p takes even sizes only")
                if picture.shape != (*size, 3) or picture.dtype != np.uint8:
                    raise ValueError(f"frame {written} is {picture.dtype} {picture.shape}, expected uint8 {(*size, 3)}")
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.time_base = stream.codec_context.time_base
                frame.pts = written if times_s is None else round(times_s[written] / tick_s)
                container.mux(stream.encode(frame))
                written += 1
            if size is None:
                raise ValueError(f"{path}: no frames to write")
            container.mux(stream.encode(None))
        os.replace(partial, path)
    except OSError as error:
        raise VideoError(f"{path}: cannot be written: {reason(error)}") from error
    finally:
        partial.unlink(missing_ok=True)
    return written


def _ticks_a_second(path: Path, times_s: Sequence[float]) -> int:
    """The finest of TICKS_A_SECOND in which the times can be stored. Raises VideoError where none is coarse enough."""
    times = [*times_s, *[times_s[-1]] * REORDERED] if times_s else []
    longest_s = max((b - a for a, b in zip(times, times[REORDERED:], strict=False)), default=0.0)
    for ticks in TICKS_A_SECOND:
        if longest_s * ticks < 1 << 31:
            return ticks
    raise VideoError(f"{path}: cannot be written: {REORDERED} frames in a row take {longest_s / 86400:.0f} days")


def _read_numbered(
    path: Path, container: Any, index: FrameIndex, wanted: list[int], *, leap: bool
) -> dict[int, np.ndarray]:
    """Read frames (sorted numbers) that are known by timestamp: the packets from a start to the last frame wanted from
    it are decoded. With `leap`, packets before a start and frames that no wanted one needs are not read or decoded."""
    stored = {place.number: place.stored for place in index.places.values()}
    times = {place.number: ticks for ticks, place in index.places.items()}
    starts = [FramePlace(0, 0), *index.starts]
    numbers = [start.number for start in starts]
    stream = video_stream(container)
    packets: Iterator[Any] = (packet for packet in container.demux(stream) if packet.size)
    passed = 0
    found: dict[int, np.ndarray] = {}
    for nearest, members in itertools.groupby(wanted, key=lambda number: bisect_right(numbers, number) - 1):
        group = set(members)
        start, end = starts[nearest], max(stored[number] for number in group) + 1
        if leap and start.stored > passed and "mp4" in container.format.name:
            container.seek(times[start.number], stream=stream)
            packets = (packet for packet in container.demux(stream) if packet.size)
            first = next(packets, None)
            if first is None or first.pts != times[start.number]:
                raise VideoError(f"{path}: frame {start.number} cannot be found by its time")
            packets = itertools.chain([first], packets)
        else:
            packets = itertools.islice(packets, start.stored - passed, None)
        passed = end
        unneeded = index.unreferenced - {stored[number] for number in group} if leap else frozenset()
        span = zip(range(start.stored, end), packets, strict=False)
        needed = ((place, packet) for place, packet in span if place not in unneeded)
        seen: set[int] = set()
        sound_end = end
        for place, frame in _decode_span(container, needed, index.places):
            if frame is None or frame.is_corrupt:
                sound_end = min(sound_end, place.stored)
            else:
                seen.add(place.number)
                if place.number in group:
                    found[place.number] = rgb_of(path, frame)
        # What was decoded after damage may show it, even where it is shown before the damaged frame.
        sound = {number for number in seen if stored[number] < sound_end}
        if not group <= sound:
            damaged = next(number for number in itertools.count(start.number) if number not in sound)
            raise VideoError(_damage(path, min(group - sound), damaged - 1))
    return found


def _decode_span(
    container: Any, packets: Iterable[tuple[int, Any]], places: dict[int, FramePlace]
) -> Iterator[tuple[FramePlace, Any]]:
    """Decode packets, each with the place at which it is stored, and yield each shown frame with its own. A packet that
    cannot be decoded is the last one and yields None with its place."""
    context = video_stream(container).codec_context
    context.flush_buffers()
    for stored, packet in packets:
        try:
            frames = context.decode(packet)
        except av.FFmpegError:
            yield FramePlace(-1, stored), None
            break
        yield from ((places[frame.pts], frame) for frame in frames if frame.pts in places)
    # Frames that the decoder still holds and cannot give are missed by the caller, who asked for them.
    with contextlib.suppress(av.FFmpegError):
        yield from ((places[frame.pts], frame) for frame in context.decode(None) if frame.pts in places)


def _read_counted(path: Path, container: Any, index: FrameIndex, wanted: list[int]) -> dict[int, np.ndarray]:
    """Read frames (sorted numbers) by counting what comes out of the decoder from the start of the file."""
    found: dict[int, np.ndarray] = {}
    missing = set(wanted)
    last_good = -1
    frames = decode_in_order(container, complete=index.complete, damaged=index.damaged)
    for number, (frame, good) in enumerate(frames):
        if number in missing:
            if not good:
                raise VideoError(_damage(path, number, last_good))
            found[number] = rgb_of(path, frame)
            missing.remove(number)
            if not missing:
                return found
        last_good = number if good else last_good
    raise VideoError(_damage(path, min(missing), last_good))


def _damage(path: Path, number: int, last_good: int) -> str:
    before = f"the last good frame before the damage is {last_good}" if last_good >= 0 else "no frame before it is good"
    return f"{path}: frame {number} cannot be decoded, {before}"


def rgb_of(path: Path, frame: Any, turns: int | None = None) -> np.ndarray:
    """A decoded frame as RGB uint8 [height, width, 3], turned as often as its display matrix says, or as is given."""
    turns = quarter_turns(path, frame) if turns is None else turns
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24", threads=1), turns))
