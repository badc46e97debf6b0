"""Counting the frames of a file by decoding it from its start, as players do.

For files whose packets do not tell which frames they show (`cityscribe.media.video_index` decides). Frame 0 is the
first one that players show: what a decoder cannot give or marks as damaged before it, as in a recording that was cut,
is left out. Behind a gap the numbers go on; the frames from the gap to the next key frame are counted and not given.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av

from cityscribe.media.container import JOINED, VideoError, formats, open_video, video_stream

JUMP_S = 10
"""Seconds that the clock of a joined file must be off before it is taken for another clock; ffmpeg's limit as well
(`-dts_delta_threshold`)."""

STEP_BACK_S = Fraction(1, 10)
"""The same for time that runs backwards."""


class CountedFrame(NamedTuple):
    """A frame that players show. It is good unless it, or something that it may refer to, is damaged."""

    frame: Any  # of PyAV
    good: bool


class Counted(NamedTuple):
    """The frames of a file."""

    times_s: tuple[float, ...]  # by frame number, relative to the first; up to the last good one
    complete: bool  # decoding got to the end, and nothing is missing there
    losses: tuple[str, ...]


def count_frames(path: Path, *, complete: bool, damaged: frozenset[int], fps: float) -> Counted:
    """Count the frames of a file. `complete` and `damaged`: see `decode_in_order`; `fps` times frames that bear none.
    Raises VideoError where not one frame can be read."""
    times_s: list[float] = []
    bad: list[int] = []
    first: float | None = None
    with open_video(path) as container:
        for counted in decode_in_order(container, complete=complete, damaged=damaged):
            if not counted.good:
                bad.append(len(times_s))
            stamp = _time_s(counted.frame)
            if first is None and stamp is not None:
                first = stamp
            time_s = None if stamp is None else stamp - (first or 0.0)
            if times_s and (time_s is None or time_s <= times_s[-1]):
                time_s = times_s[-1] + 1 / fps
            times_s.append(time_s or 0.0)
    end = len(times_s)
    while bad and bad[-1] == end - 1:
        bad.pop()
        end -= 1
    if not end:
        raise VideoError(f"{path}: not one frame can be read")
    return Counted(tuple(times_s[:end]), complete and end == len(times_s), tuple(_losses(bad)))


def _time_s(frame: Any) -> float | None:
    return None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)


def _losses(bad: list[int]) -> Iterator[str]:
    """The frames of each run of numbers in words."""
    for _, run in itertools.groupby(enumerate(bad), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in run]
        span = f"frame {numbers[0]}" if len(numbers) == 1 else f"frames {numbers[0]} to {numbers[-1]}"
        yield f"{span} cannot be read: something is missing or damaged there"


def decode_in_order(container: Any, *, complete: bool, damaged: frozenset[int] = frozenset()) -> Iterator[CountedFrame]:
    """Decode a file from its start and yield the frames as they come out, which is the order in which they are shown,
    from the first good one on.

    `damaged` are the places of packets, in the order in which they are stored, that are not whole or follow on missing
    ones. Where packets are missing at the end (not `complete`), the frames that the decoder would have held back for
    them are left out.
    """
    stream = video_stream(container)
    keys_read = keys_shown = 0
    good_again_at = 0  # key frames that are to be shown before a frame is good
    started = False
    for stored, packet in enumerate(itertools.chain(packets_in_order(container, stream), [None])):
        if packet is None and not complete:
            return
        if packet is not None:
            keys_read += packet.is_keyframe
            if stored in damaged:
                good_again_at = keys_read + 1
        try:
            frames = stream.codec_context.decode(packet)
        except av.FFmpegError:
            if keys_read:  # before the first one nothing is expected
                good_again_at = keys_read + 1
            continue
        for frame in frames:
            keys_shown += frame.key_frame
            good = not frame.is_corrupt and (not started or keys_shown >= good_again_at)
            started = started or good
            if started:
                yield CountedFrame(frame, good)


def packets_in_order(container: Any, stream: Any) -> Iterator[Any]:
    """The packets of a stream, their times made continuous."""
    packets = (packet for packet in _until_error(container, stream) if packet.size)
    return _continued(packets, stream) if JOINED & formats(container) else packets


def _until_error(container: Any, stream: Any) -> Iterator[Any]:
    try:
        yield from container.demux(stream)
    except (av.FFmpegError, OSError):
        return


def _continued(packets: Iterator[Any], stream: Any) -> Iterator[Any]:
    """Packets of a stream whose clock may jump, moved so that each goes on where the one before it ended. This is the
    rule of ffmpeg's command (`ts_discontinuity_detect`), in ticks of the stream."""
    second = 1 / (stream.time_base or Fraction(1, 90000))
    usual = round(second / (stream.average_rate or stream.guessed_rate or 25))
    offset = 0
    last: int | None = None
    expected = 0
    for packet in packets:
        if packet.dts is not None:
            dts = packet.dts + offset
            if last is not None and (abs(dts - expected) > JUMP_S * second or dts + STEP_BACK_S * second < last):
                offset += expected - dts
                dts = expected
            last, expected = dts, dts + (packet.duration or usual)
        if offset:
            packet.pts = None if packet.pts is None else packet.pts + offset
            packet.dts = None if packet.dts is None else packet.dts + offset
        yield packet
