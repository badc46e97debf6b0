"""The frames of a video file in the order in which they are shown, found without decoding them where that is safe.

The packets of a file are listed as its container stores them. Where they number the frames beyond doubt, the sorted
timestamps are the frames, and a decoded frame is known by its timestamp. Beyond doubt means: the container stores the
time at which each frame is shown, the bytes of each packet say how many frames it shows, and decoding gives every one
of them. Otherwise the file is decoded once, and what comes out is counted (`cityscribe.media.counted`).
`cityscribe.media.video` reads frames with this.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av

from cityscribe.media.bitstream import Coded, packet_reader
from cityscribe.media.container import VideoError, formats, open_video, quarter_turns, reason, video_stream
from cityscribe.media.counted import count_frames
from cityscribe.media.transport import breaks_of, damaged_frames

FALLBACK_FPS = 25.0
"""Of a file that says neither how fast it runs nor when its frames are shown."""

STORED_TIMES = frozenset({"mov", "matroska", "mpegts", "flv"})
"""Containers that store when a frame is shown. Others (AVI, MPEG-PS, raw streams) leave it to be guessed."""

WHOLE_FRAMES = frozenset({"mov", "matroska", "flv"})
"""Containers whose packets are frames; elsewhere the two fields of an interlaced one may be packets of their own."""


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
    losses: tuple[str, ...] = ()  # what is missing or damaged inside, each a sentence without the file's name

    def what_is_lost(self) -> list[str]:
        """What of the file cannot be read, for those who are told; empty where it is whole."""
        cut = [] if self.complete else [f"is cut short or damaged; the last good frame is {self.frames - 1}"]
        return [*cut, *self.losses]


class FramePlace(NamedTuple):
    """Where a frame stands in its file."""

    number: int  # in the order in which frames are shown
    stored: int  # in the order in which they are stored, which is that of decoding


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """The frames of one file."""

    info: VideoInfo
    times_s: tuple[float, ...]  # by frame number, relative to the first frame
    places: dict[int, FramePlace]  # by timestamp in ticks; empty where the frames can only be counted
    starts: tuple[FramePlace, ...]  # frames from which decoding may start, beyond the first one
    unreferenced: frozenset[int]  # where frames that no other frame needs are stored
    complete: bool = True  # of a file that is counted: whether all its packets are there
    damaged: frozenset[int] = frozenset()  # of a file that is counted: the packets that are not whole


class _Packet(NamedTuple):
    """What the container and the bytes of one packet say; times in ticks of the stream."""

    pts: int | None
    dts: int | None
    duration: int
    key: bool
    coded: Coded
    discard: bool  # decoded but not shown (an edit list starts later)


class _Listing(NamedTuple):
    """The packets of a file."""

    packets: list[_Packet]
    size: tuple[int, int]  # width and height in pixels as shown
    complete: bool  # these are all that the file announces
    broken: bool  # packets do not follow on each other somewhere
    damaged: frozenset[int]  # packets that are not whole, or follow on missing ones
    interlaced: bool


def frame_index_of(path: Path) -> FrameIndex:
    """The index of a file, kept for the files read last. Raises VideoError where not one frame can be read."""
    try:
        stat = os.stat(path)
    except OSError as error:
        raise VideoError(f"{path}: {reason(error)}") from error
    return _scan(Path(path), stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=16)
def _scan(path: Path, mtime_ns: int, size: int) -> FrameIndex:
    """Number the frames of a file. Its time and size are arguments for the cache: a changed file is scanned again."""
    with open_video(path) as container:
        stream = video_stream(container)
        listing = _list_packets(path, container, stream)
        tick_s = stream.time_base or Fraction(1)
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        stored = _stores_times(container, stream, listing.packets)
        numbered = stored and _numbered_by_time(container, stream, listing)
    order = _presentation_order(path, listing) if numbered else None
    if order is None:
        return _counted_index(path, listing, fps, () if stored else _decoding_times(listing.packets, tick_s))
    packets, (width, height) = listing.packets, listing.size
    numbers = {pts: number for number, pts in enumerate(order)}
    places = {
        p.pts: FramePlace(numbers[p.pts], stored)
        for stored, p in enumerate(packets)
        if p.coded.shown and p.pts is not None and p.pts in numbers
    }
    times_s = tuple((pts - order[0]) * tick_s.numerator / tick_s.denominator for pts in order)
    last_s = float(packets[places[order[-1]].stored].duration * tick_s)
    fps = fps or _average_fps(times_s)
    info = VideoInfo(width, height, fps, len(order), times_s[-1] + (last_s or 1 / fps), listing.complete)
    unreferenced = frozenset(stored for stored, packet in enumerate(packets) if packet.coded.unreferenced)
    return FrameIndex(info, times_s, places, _starts(packets, places), unreferenced)


def _counted_index(path: Path, listing: _Listing, fps: float, decoding_times_s: tuple[float, ...]) -> FrameIndex:
    counted = count_frames(path, complete=listing.complete, damaged=listing.damaged, fps=fps or FALLBACK_FPS)
    times_s = counted.times_s
    if len(times_s) == len(decoding_times_s):  # frames are shown in the rhythm in which they are decoded
        times_s = decoding_times_s
    fps = fps or _average_fps(times_s)
    width, height = listing.size
    duration_s = times_s[-1] + 1 / fps
    info = VideoInfo(width, height, fps, len(times_s), duration_s, counted.complete, counted.losses)
    return FrameIndex(info, times_s, {}, (), frozenset(), listing.complete, listing.damaged)


def _decoding_times(packets: list[_Packet], tick_s: Fraction) -> tuple[float, ...]:
    """When packets are decoded, in seconds from the first on; empty where that is not known of each."""
    times = [packet.dts for packet in packets if packet.dts is not None]
    if len(times) < len(packets) or any(a >= b for a, b in itertools.pairwise(times)):
        return ()
    return tuple(float((time - times[0]) * tick_s) for time in times)


def _average_fps(times_s: tuple[float, ...]) -> float:
    return (len(times_s) - 1) / times_s[-1] if times_s[-1] > 0 else FALLBACK_FPS


def _list_packets(path: Path, container: Any, stream: Any) -> _Listing:
    """The readable packets in the order in which they are stored, whether these are all that the file announces, and
    the size of the first frame that they give. Raises VideoError where they give none."""
    packets: list[_Packet] = []
    size: tuple[int, int] | None = None
    empty = 0
    complete = True
    interlaced = False
    places: list[tuple[int, bool]] = []
    damaged: set[int] = set()
    read = packet_reader(stream.codec_context)
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                # One with a time repeats the frame before it; the one without says that the file is over.
                empty += packet.dts is not None
                continue
            if size is None:
                size, interlaced = _first_shown(path, stream, packet)
            places.append((packet.pos or 0, packet.is_keyframe))
            if packet.is_corrupt:
                if formats(container) & WHOLE_FRAMES:
                    complete = False
                    break
                damaged |= {len(packets), len(packets) + 1}  # the parser of frames may say it one early
            packets.append(
                _Packet(
                    packet.pts,
                    packet.dts,
                    packet.duration or 0,
                    packet.is_keyframe,
                    read(packet),
                    packet.is_discard,
                )
            )
    except (av.FFmpegError, OSError):
        complete = False
    if size is None:
        size, interlaced = _first_shown(path, stream, None)
    if size is None:
        raise VideoError(f"{path}: not one frame can be read")
    complete = complete and len(packets) + empty >= len(stream.index_entries)
    breaks = breaks_of(path, stream.id) if "mpegts" in formats(container) else None
    if breaks is not None:
        damaged = {place for place, bad in enumerate(damaged_frames(places, breaks)) if bad}
    return _Listing(packets, size, complete, bool(breaks or damaged), frozenset(damaged), interlaced)


def _first_shown(path: Path, stream: Any, packet: Any) -> tuple[tuple[int, int] | None, bool]:
    """Width and height in pixels, rotation applied, of the first frame that a packet (None: the end) brings out, and
    whether it is interlaced."""
    with contextlib.suppress(av.FFmpegError):  # what comes before the first frame that can be decoded is not shown
        for frame in stream.codec_context.decode(packet):
            turned = quarter_turns(path, frame) % 2
            size = (frame.height, frame.width) if turned else (frame.width, frame.height)
            return size, bool(frame.interlaced_frame)
    return None, False


def _stores_times(container: Any, stream: Any, packets: list[_Packet]) -> bool:
    """Whether the timestamps of packets say when their frames are shown, and are not guessed from the order in which
    they are decoded."""
    context = stream.codec_context
    if context.codec.intra_only:
        return True  # both orders are one
    times = [packet.pts for packet in packets if packet.pts is not None]
    in_order = all(a < b for a, b in itertools.pairwise(times))
    if context.codec.canonical_name == "mpeg4" and in_order:
        return not any(packet.coded.bidirectional for packet in packets)
    names = formats(container)
    # Matroska in its mode of compatibility with AVI stores no more than AVI does, and has AVI's name of the codec.
    as_avi = "matroska" in names and bool(context.codec_tag.strip("\0"))
    return bool(names & STORED_TIMES) and not as_avi and not (in_order and context.has_b_frames)


def _numbered_by_time(container: Any, stream: Any, listing: _Listing) -> bool:
    """Whether the packets of a file that stores times number its frames, as far as can be told without looking at these
    times."""
    packets = listing.packets
    if not packets or any(packet.coded.shown not in (0, 1) for packet in packets):
        return False
    if listing.broken or (listing.interlaced and not formats(container) & WHOLE_FRAMES):
        return False
    return _starts_clean(stream.codec_context.codec.canonical_name, packets)


def _starts_clean(codec: str, packets: list[_Packet]) -> bool:
    """Whether a decoder gives every frame from the first packet on. From a point of recovery that is not a refresh it
    leaves out those that refer to what is missing."""
    if any(packet.coded.ends_sequence for packet in packets[:-1]):
        return False
    if codec == "h264":
        return packets[0].coded.refresh
    if codec == "hevc":
        following = itertools.takewhile(lambda packet: not packet.key, packets[1:])
        return packets[0].key and not any(packet.coded.leading for packet in following)
    return packets[0].key


def _presentation_order(path: Path, listing: _Listing) -> list[int] | None:
    """The timestamps of the shown frames, sorted; None where they are not unique or where the first frame stored is not
    the first shown.

    Where packets are missing, only frames are numbered that none of those can precede: a missing packet would be
    decoded after the last one at hand, and no frame is shown before it is decoded. Raises VideoError if none is left.
    """
    packets = [packet for packet in listing.packets if packet.coded.shown]
    order = sorted(packet.pts for packet in packets if packet.pts is not None)
    if not order or len(set(order)) < len(packets) or packets[0].pts != order[0]:
        return None
    discarded = {packet.pts for packet in packets if packet.discard}
    if not listing.complete:
        decoded = [packet.dts for packet in packets if packet.dts is not None]
        if len(decoded) < len(packets) or any(dts > (p.pts or 0) for dts, p in zip(decoded, packets, strict=True)):
            return None
        order = [pts for pts in order if pts <= decoded[-1]]
    order = [pts for pts in order if pts not in discarded]
    if not order:
        raise VideoError(f"{path}: not one frame can be read")
    return order


def _starts(packets: list[_Packet], places: dict[int, FramePlace]) -> tuple[FramePlace, ...]:
    """The instant refreshes that are shown after all that is stored before, and before all that is stored after."""
    if not places:
        return ()
    timestamps = [packet.pts or 0 for packet in packets]
    highest = list(itertools.accumulate(timestamps, max))
    lowest = list(itertools.accumulate(reversed(timestamps), min))[::-1]
    return tuple(
        places[timestamps[stored]]
        for stored, packet in enumerate(packets)
        if packet.key
        and packet.coded.refresh
        and stored > 0
        and highest[stored - 1] < timestamps[stored] == lowest[stored]
        and timestamps[stored] in places
    )
