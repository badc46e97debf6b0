"""The frames of a video file in the order in which they are shown, found without decoding them.

The packets of a file are listed as its container stores them. Where each carries a timestamp of its own, the sorted
timestamps number the frames, and a decoded frame is known by its timestamp. Otherwise the file is decoded once, and its
frames are counted. `cityscribe.media.video` reads frames with this.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av

from cityscribe.files import InputError

FALLBACK_FPS = 25.0
"""Of a file that says neither how fast it runs nor when its frames are shown."""


class VideoError(InputError):
    """A video cannot be read or written. The message names the file and, where there is one, its last good frame."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video is. `frames` counts the good ones, fewer than were recorded where `complete` is false.

    MP4 and MOV list all their frames, so a missing one is noticed. Other formats just end where they are cut, and the
    last few frames before the cut may bear the numbers of B-frames that are missing among them.
    """

    width: int  # pixels as shown, rotation applied
    height: int
    fps: float  # average over the file
    frames: int
    duration_s: float
    complete: bool = True  # false: the file ends early, or cannot be decoded to its end


class Place(NamedTuple):
    """Where a frame stands in its file."""

    number: int  # in the order in which frames are shown
    stored: int  # in the order in which they are stored, which is that of decoding


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """The frames of one file."""

    info: VideoInfo
    times_s: tuple[float, ...]  # by frame number, relative to the first frame
    places: dict[int, Place]  # by timestamp in ticks; empty where the frames can only be counted
    starts: tuple[Place, ...]  # frames from which decoding may start, beyond the first one
    unreferenced: frozenset[int]  # where frames that no other frame needs are stored


class _Packet(NamedTuple):
    """What the container says of one coded frame; times in ticks of the stream."""

    pts: int | None
    dts: int | None
    duration: int
    key: bool
    refresh: bool  # no frame stored after it refers to one stored before it
    unreferenced: bool  # no other frame refers to it
    discard: bool  # decoded but not shown (an edit list starts later)


def frame_index_of(path: Path) -> FrameIndex:
    """The index of a file, kept for the files read last. Raises VideoError where not one frame can be read."""
    try:
        stat = os.stat(path)
    except OSError as error:
        raise VideoError(f"{path}: {reason(error)}") from error
    return _scan(Path(path), stat.st_mtime_ns, stat.st_size)


@contextlib.contextmanager
def open_video(path: Path) -> Iterator[Any]:
    """The PyAV container of a file; what goes wrong in reading it becomes a VideoError.

    Its first video stream decodes in one thread: damage then shows the same way every time, and worker processes do not
    compete for cores.
    """
    try:
        # "file:" keeps a name with a colon from being taken for an address; nothing but files is opened.
        options = {"protocol_whitelist": "file"}
        with av.open(f"file:{path}", container_options=options, metadata_errors="replace") as container:
            if not container.streams.video:
                raise VideoError(f"{path}: has no video stream")
            if container.streams.video[0].codec_context is None:
                raise VideoError(f"{path}: its video is coded in a way that cannot be decoded")
            container.streams.video[0].codec_context.thread_count = 1
            yield container
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: not a readable video: {reason(error)}") from error


def quarter_turns(path: Path, frame: Any) -> int:
    """Counter-clockwise quarter turns that the display matrix of a frame asks for (0 without one).

    Raises VideoError for a matrix that does anything else than such turns: boxes would not fit its picture.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 0
    a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
    one = 1 << 16  # the matrix is 16.16 fixed point
    turns = {(one, 0, 0, one): 0, (0, -one, one, 0): 1, (-one, 0, 0, -one): 2, (0, one, -one, 0): 3}
    if (a, b, c, d) not in turns:
        raise VideoError(f"{path}: is to be shown mirrored, scaled or turned askew; only quarter turns can be read")
    return turns[a, b, c, d]


def reason(error: Exception) -> str:
    """What an error says, without the path that it may repeat."""
    return (error.strerror if isinstance(error, OSError | av.FFmpegError) else None) or str(error)


@functools.lru_cache(maxsize=16)
def _scan(path: Path, mtime_ns: int, size: int) -> FrameIndex:
    """Number the frames of a file. Its time and size are arguments for the cache: a changed file is scanned again."""
    with open_video(path) as container:
        stream = container.streams.video[0]
        packets, complete, (width, height) = _list_packets(path, container, stream)
        tick_s = stream.time_base or Fraction(1)
        fps = float(stream.average_rate or stream.guessed_rate or 0)
    order = _presentation_order(path, packets, complete)
    places: dict[int, Place] = {}
    last_s = 0.0
    if order is None:
        times_s, to_the_end = _count(path, complete)
        complete = complete and to_the_end
    else:
        numbers = {pts: number for number, pts in enumerate(order)}
        places = {p.pts: Place(numbers[p.pts], stored) for stored, p in enumerate(packets) if p.pts in numbers}
        times_s = [(pts - order[0]) * tick_s.numerator / tick_s.denominator for pts in order]
        last_s = float(packets[places[order[-1]].stored].duration * tick_s)
    fps = fps or ((len(times_s) - 1) / times_s[-1] if times_s[-1] > 0 else FALLBACK_FPS)
    info = VideoInfo(width, height, fps, len(times_s), times_s[-1] + (last_s or 1 / fps), complete)
    unreferenced = frozenset(stored for stored, packet in enumerate(packets) if packet.unreferenced)
    return FrameIndex(info, tuple(times_s), places, _starts(packets, places), unreferenced)


def _list_packets(path: Path, container: Any, stream: Any) -> tuple[list[_Packet], bool, tuple[int, int]]:
    """The readable packets in the order in which they are stored, whether these are all that the file announces, and
    the size of the first frame that they give. Raises VideoError where they give none."""
    packets: list[_Packet] = []
    size: tuple[int, int] | None = None
    empty = 0
    complete = True
    refers = _reference_reader(stream.codec_context)
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                # One with a time repeats the frame before it; the one without says that the file is over.
                empty += packet.dts is not None
                continue
            size = size or _shown_size(path, stream, packet)
            if packet.is_corrupt:
                complete = False
                break
            refresh, unreferenced = refers(packet)
            key = packet.is_keyframe
            packets.append(
                _Packet(
                    packet.pts, packet.dts, packet.duration or 0, key, key and refresh, unreferenced, packet.is_discard
                )
            )
    except (av.FFmpegError, OSError):
        complete = False
    size = size or _shown_size(path, stream, None)
    if size is None:
        raise VideoError(f"{path}: not one frame can be read")
    return packets, complete and len(packets) + empty >= len(stream.index_entries), size


def _shown_size(path: Path, stream: Any, packet: Any) -> tuple[int, int] | None:
    """Width and height in pixels, rotation applied, of the first frame that a packet (None: the end) brings out."""
    try:
        for frame in stream.codec_context.decode(packet):
            turned = quarter_turns(path, frame) % 2
            return (frame.height, frame.width) if turned else (frame.width, frame.height)
    except av.FFmpegError as error:
        raise VideoError(f"{path}: not a readable video: {reason(error)}") from error
    return None


def _presentation_order(path: Path, packets: list[_Packet], complete: bool) -> list[int] | None:
    """The timestamps of the shown frames, sorted; None where they do not number the frames beyond doubt.

    Beyond doubt: every packet has a timestamp of its own, and the first one stored is a key frame and the first shown.
    Where packets are missing, only frames are numbered that none of those can precede: a missing packet would be
    decoded after the last one at hand, and no frame is shown before it is decoded. Raises VideoError if none is left.
    """
    order = sorted(packet.pts for packet in packets if packet.pts is not None)
    if not order or len(set(order)) < len(packets) or not packets[0].key or packets[0].pts != order[0]:
        return None
    discarded = {packet.pts for packet in packets if packet.discard}
    if not complete:
        decoded = [packet.dts for packet in packets if packet.dts is not None]
        if len(decoded) < len(packets) or any(dts > (p.pts or 0) for dts, p in zip(decoded, packets, strict=True)):
            return None
        order = [pts for pts in order if pts <= decoded[-1]]
    order = [pts for pts in order if pts not in discarded]
    if not order:
        raise VideoError(f"{path}: not one frame can be read")
    return order


def _starts(packets: list[_Packet], places: dict[int, Place]) -> tuple[Place, ...]:
    """The instant refreshes that are shown after all that is stored before, and before all that is stored after."""
    if not places:
        return ()
    timestamps = [packet.pts or 0 for packet in packets]
    highest = list(itertools.accumulate(timestamps, max))
    lowest = list(itertools.accumulate(reversed(timestamps), min))[::-1]
    return tuple(
        places[timestamps[stored]]
        for stored, packet in enumerate(packets)
        if packet.refresh
        and stored > 0
        and highest[stored - 1] < timestamps[stored] == lowest[stored]
        and timestamps[stored] in places
    )


def _reference_reader(context: Any) -> Callable[[Any], tuple[bool, bool]]:
    """What tells of a packet whether it is an instant refresh, and whether no other frame refers to its frame.

    Read from the NAL units of H.264 and HEVC as MP4 stores them; of any other stream nothing is known. The key-frame
    flag of a container also marks pictures that later ones look past, so it does not tell.
    """
    extradata = context.extradata or b""
    if context.name == "h264" and len(extradata) > 6 and extradata[0] == 1:  # avcC, ISO/IEC 14496-15
        return functools.partial(_h264_references, length_size=(extradata[4] & 3) + 1)
    if context.name == "hevc" and len(extradata) > 22 and extradata[0] == 1:  # hvcC
        return functools.partial(_hevc_references, length_size=(extradata[21] & 3) + 1)
    return lambda packet: (False, False)


def _h264_references(packet: Any, length_size: int) -> tuple[bool, bool]:
    """ITU-T H.264, section 7.4.1: a refresh has NAL unit type 5; `nal_ref_idc` is 0 in slices that no frame needs."""
    slices = [header for header in _nal_headers(packet, length_size) if 1 <= header & 31 <= 5]
    return bool(slices) and slices[0] & 31 == 5, bool(slices) and not any(header & 0x60 for header in slices)


def _hevc_references(packet: Any, length_size: int) -> tuple[bool, bool]:
    """ITU-T H.265, table 7-1: a refresh has NAL unit type 19 or 20. Which frames others need depends on sub-layers."""
    kinds = (header >> 1 & 63 for header in _nal_headers(packet, length_size))
    return next((kind for kind in kinds if kind < 32), -1) in (19, 20), False


def _nal_headers(packet: Any, length_size: int) -> Iterator[int]:
    """The first byte of each NAL unit of a packet."""
    data = memoryview(packet)
    place = 0
    while place + length_size < len(data):
        yield data[place + length_size]
        place += length_size + int.from_bytes(data[place : place + length_size], "big")


def decode_in_order(path: Path, container: Any, *, complete: bool) -> Iterator[Any]:
    """Decode a file from its start and yield the frames as they come out, which is the order in which they are shown.

    Where packets are missing at the end (not `complete`), the frames that the decoder would have held back for them are
    left out. Raises VideoError, or an error of PyAV, at the first damage.
    """
    stream = container.streams.video[0]
    for packet in itertools.chain(container.demux(stream), [None]):
        if packet is None and not complete:
            return
        if packet is not None and packet.size == 0:
            continue
        for frame in stream.codec_context.decode(packet):
            if frame.is_corrupt:
                raise VideoError(f"{path}: damaged")
            yield frame
        if packet is not None and packet.is_corrupt:
            raise VideoError(f"{path}: damaged")


def _count(path: Path, complete: bool) -> tuple[list[float], bool]:
    """The time in seconds of every frame that decodes, relative to the first, and whether decoding got to the end."""
    stamps: list[float | None] = []
    to_the_end = True
    with open_video(path) as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or stream.guessed_rate or FALLBACK_FPS)
        try:
            for frame in decode_in_order(path, container, complete=complete):
                stamps.append(frame.time)
        except (av.FFmpegError, OSError, VideoError):
            to_the_end = False
    if not stamps:
        raise VideoError(f"{path}: not one frame can be read")
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) == len(stamps) and all(a < b for a, b in itertools.pairwise(known)):
        return [stamp - known[0] for stamp in known], to_the_end
    return [number / fps for number in range(len(stamps))], to_the_end
