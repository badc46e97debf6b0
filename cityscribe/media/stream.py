"""A video in blocks of frames, for hours of footage: memory stays flat in its length, time is linear.

    for block in stream_frames(Path("day.mp4"), fps=1, block=64):
        block.frames, block.times_s      # at most 64 images, each with its time
        block.problem                    # what of it could not be decoded, in words; empty where all could

The frames are those of `cityscribe.media.clips.read_clip` at the same times: the last one that is not later. The file
is decoded once from its start and never listed, so that nothing grows with its length. A frame that is damaged, or that
may refer to damaged ones (until the next key frame), is left out and its block says so; the others go on. A file that
ends before the length that it announces says so in a last block without frames.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image

from cityscribe.media.clips import within_pixels
from cityscribe.media.container import VideoError, formats, open_video, quarter_turns, video_stream
from cityscribe.media.counted import packets_in_order
from cityscribe.media.video import TIME_TOLERANCE_S, rgb_of
from cityscribe.media.video_index import FALLBACK_FPS, STORED_TIMES, WHOLE_FRAMES

BLOCK = 64
"""Frames of a block where nobody says otherwise."""

CUT_SHORT_S = 1.0
"""A file may end this much before the length that its head announces, which rounds."""

SHARE = 1e-6
"""Of the time between two frames: a frame this little before the end is at the end."""

REORDERED_MOST = 64
"""Frames over which a codec may move one: no more are remembered of what was read and not yet shown."""


class BehindEndError(VideoError):
    """Frames are wanted from a time on at which the video has ended."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameBlock:
    """Frames that follow on each other in a video."""

    frames: tuple[Image.Image, ...]  # RGB; the same object where a frame is shown at several times
    times_s: tuple[float, ...]  # of each frame, from the first frame of the file on
    problem: str = ""  # file, place and reason, where frames of the block are missing


def announced_length_s(path: Path) -> float | None:
    """How long the head of a file says that it is, in seconds; None where it does not say. For progress, not for times.

    Raises VideoError where the file is no video.
    """
    with open_video(path) as container:
        stream = video_stream(container)
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        return None if container.duration is None else float(container.duration / av.time_base)


def stream_frames(
    path: Path,
    *,
    fps: float,
    start_s: float = 0.0,
    end_s: float | None = None,
    block: int = BLOCK,
    max_pixels: int | None = None,
) -> Iterator[FrameBlock]:
    """The frames at `start_s` and then every 1 / `fps` s, before `end_s` or to the end of the file.

    `max_pixels` bounds each frame. Raises VideoError, naming the file, where it is no video, where none of the wanted
    frames can be decoded, and, a BehindEndError, where it ends before `start_s`.
    """
    wanted = _Wanted(path, fps, start_s, math.inf if end_s is None else end_s, max_pixels)
    some = False
    with open_video(path) as container:
        stream = video_stream(container)
        listed = formats(container) & WHOLE_FRAMES and stream.duration is not None
        announced_s = float(stream.duration * stream.time_base) if listed else 0.0
        for shown in _decoded(container, stream):
            wanted.take(shown)
            while len(wanted.found) >= block:
                part = wanted.cut(block)
                some = some or bool(part.frames)
                yield part
            if wanted.finished:
                break
        wanted.end()
    while wanted.found:
        part = wanted.cut(block)
        some = some or bool(part.frames)
        yield part
    missing_s = min(announced_s, wanted.end_s) - wanted.ends_s
    cut_short = "" if wanted.finished or missing_s <= CUT_SHORT_S else f"the {announced_s:.1f} s that it announces"
    if not some and wanted.taken:
        raise VideoError(f"{path}: none of the {wanted.taken} frames wanted of it can be decoded")
    if not some:
        end = f"ends at {wanted.ends_s:g} s" + (f" of {cut_short}" if cut_short else "")
        raise BehindEndError(f"{path}: begins at {start_s:g} s, and the video {end}")
    if cut_short:
        problem = f"{path}: is cut short or damaged: ends at {wanted.ends_s:.1f} s of {cut_short}"
        yield FrameBlock((), (), problem)


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    """What decoding gives next: a frame, or (`frame` None) the place of a packet that gives none."""

    frame: Any  # of PyAV
    time_s: float  # from the first frame of the file on
    lasts_s: float
    good: bool


@dataclass(slots=True, eq=False)
class _Wanted:
    """The wanted times, and the frame that is shown at each of them, as decoding goes on."""

    path: Path
    fps: float
    start_s: float
    end_s: float
    max_pixels: int | None
    found: list[tuple[float, Image.Image | None]] = field(default_factory=list)  # not yet in a block; None: lost
    taken: int = 0  # wanted times found so far
    held: _Decoded | None = None  # the last frame, shown until the next one
    image: Image.Image | None = None  # of `held`, once it was wanted
    broken_s: float | None = None  # where decoding failed behind `held`
    ends_s: float = 0.0  # of the frames so far
    turns: int | None = None  # of all frames; asked of one only, since a frame that was asked is freed late

    @property
    def next_s(self) -> float:
        return self.start_s + self.taken / self.fps

    @property
    def finished(self) -> bool:
        """Whether no later frame is wanted."""
        return self.next_s >= self.end_s - SHARE / self.fps

    def take(self, decoded: _Decoded) -> None:
        if decoded.frame is None:
            self.broken_s = decoded.time_s if self.broken_s is None else min(self.broken_s, decoded.time_s)
            return
        if self.held is not None and decoded.time_s <= self.held.time_s:
            return  # damage brought out a frame late or twice
        self._show_held(until_s=decoded.time_s - TIME_TOLERANCE_S)
        self.held, self.image = decoded, None
        self.ends_s = max(self.ends_s, decoded.time_s + decoded.lasts_s)
        if decoded.good and self.broken_s is not None and decoded.time_s >= self.broken_s:
            self.broken_s = None

    def end(self) -> None:
        """No frame follows: the last one is shown for as long as it lasts."""
        self._show_held(until_s=self.ends_s - SHARE / self.fps)

    def cut(self, block: int) -> FrameBlock:
        """The next block of those found."""
        part, self.found = self.found[:block], self.found[block:]
        lost = [time_s for time_s, image in part if image is None]
        problem = ""
        if lost:
            span = f"{lost[0]:.1f} s" if len(lost) == 1 else f"{lost[0]:.1f} s to {lost[-1]:.1f} s"
            problem = f"{self.path}: {span}: {len(lost)} of {len(part)} frames cannot be decoded: damaged or missing"
        times_s = tuple(time_s for time_s, image in part if image is not None)
        return FrameBlock(tuple(image for _, image in part if image is not None), times_s, problem)

    def _show_held(self, until_s: float) -> None:
        while not self.finished and self.next_s < until_s:
            broken = self.broken_s is not None and self.next_s + TIME_TOLERANCE_S >= self.broken_s
            self.found.append((self.next_s, None if broken else self._held_image()))
            self.taken += 1

    def _held_image(self) -> Image.Image | None:
        if self.image is None and self.held is not None and self.held.good:
            if self.turns is None:
                self.turns = quarter_turns(self.path, self.held.frame)
            pixels = rgb_of(self.path, self.held.frame, self.turns)
            self.image = within_pixels(Image.fromarray(pixels), self.max_pixels)
        return self.image


@dataclass(slots=True)
class _Damage:
    """Which frames are good: from damage on none, up to the next key frame that is stored behind it."""

    waiting: bool = False
    key_read: bool = False  # whether the key frame that ends the waiting was read
    resume: int | None = None  # its timestamp
    last_key: int | None = None  # timestamp of the last key frame read
    started: bool = False  # whether any key frame was read

    def read(self, packet: Any) -> None:
        if packet.is_keyframe:
            self.started, self.last_key = True, packet.pts
            if self.waiting and not self.key_read:
                self.key_read, self.resume = True, packet.pts

    def begins(self) -> None:
        """The packet read last is damaged."""
        self.waiting, self.key_read, self.resume = True, False, None

    def is_good(self, frame: Any) -> bool:
        if frame.is_corrupt:
            later = frame.pts is not None and self.last_key is not None and self.last_key > frame.pts
            self.waiting, self.key_read, self.resume = True, later, self.last_key
            return False
        if self.waiting and self.key_read:
            by_time = frame.pts is not None and self.resume is not None
            self.waiting = frame.pts < self.resume if by_time else not frame.key_frame
        return not self.waiting


@dataclass(slots=True)
class _Clock:
    """When the frames of a file are shown, in seconds from the first one on.

    By their timestamps; where the container does not store these, in the rhythm in which packets are decoded, as in
    `cityscribe.media.video_index`.
    """

    tick_s: Fraction
    fps: float
    stored: bool  # whether timestamps say when frames are shown
    first_s: Fraction | None = None
    last_s: float | None = None
    waiting: deque[int | None] = field(default_factory=deque)  # decoding times of packets whose frames are to come
    durations: dict[int, int] = field(default_factory=dict)  # in ticks, by timestamp

    def read(self, packet: Any) -> None:
        if self.stored and packet.pts is not None:
            self.durations[packet.pts] = packet.duration or 0
            if len(self.durations) > REORDERED_MOST:
                del self.durations[next(iter(self.durations))]
        else:
            self.waiting.append(packet.dts)

    def of(self, frame: Any) -> tuple[float, float]:
        """The time of the next frame, and how long it lasts."""
        ticks = frame.pts if self.stored or not self.waiting else self.waiting.popleft()
        stamp_s = None if ticks is None else ticks * self.tick_s
        if self.first_s is None:
            self.first_s = stamp_s or Fraction(0)
        time_s = None if stamp_s is None else float(stamp_s - self.first_s)
        if self.last_s is not None and (time_s is None or (not self.stored and time_s <= self.last_s)):
            time_s = self.last_s + 1 / self.fps
        self.last_s = time_s or 0.0
        return self.last_s, float(self.durations.pop(frame.pts, 0) * self.tick_s) or 1 / self.fps


def _decoded(container: Any, stream: Any) -> Iterator[_Decoded]:
    """Decode a file from its start: its frames in the order in which they are shown, and where decoding fails.

    Frame 0 is the first that players show, as in `cityscribe.media.counted`; where the container stores when frames are
    shown, its first one, be it damaged or not.
    """
    names = formats(container)
    fps = float(stream.average_rate or stream.guessed_rate or FALLBACK_FPS)
    stored = bool(names & STORED_TIMES) or stream.codec_context.codec.intra_only
    clock = _Clock(stream.time_base or Fraction(1), fps, stored)
    damage = _Damage()
    for packet in itertools.chain(packets_in_order(container, stream), [None]):
        failed = False
        if packet is not None:
            if clock.first_s is None and names & WHOLE_FRAMES and packet.pts is not None and not packet.is_discard:
                clock.first_s = packet.pts * clock.tick_s
            failed = bool(packet.is_corrupt)
            damage.read(packet)
            clock.read(packet)
        try:
            frames = stream.codec_context.decode(packet)
        except av.FFmpegError:
            frames, failed = [], True
        if failed and packet is not None and damage.started:
            damage.begins()
            if clock.first_s is not None and packet.pts is not None:
                yield _Decoded(None, float(packet.pts * clock.tick_s - clock.first_s), 0.0, False)
        for frame in frames:
            good = damage.is_good(frame)
            if good or clock.first_s is not None:
                yield _Decoded(frame, *clock.of(frame), good)
            elif clock.waiting:
                clock.waiting.popleft()
