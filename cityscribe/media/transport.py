"""Where packets are missing in an MPEG transport stream: whether it was joined end to end there, or lost something.

The demuxer marks some of these places, some one frame too early, and some not at all, so they are found in the file.

ISO/IEC 13818-1, section 2.4.3: packets of 188 bytes begin with 0x47; those of one elementary stream are numbered by a
counter of four bits (`continuity_counter`). A recording that is joined to another one starts a new count, but with a
whole frame, behind a whole frame.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

PACKET_BYTES = (188, 192, 204)
"""Plain, with a time before each packet (M2TS), with a checksum behind it."""

SYNC = 0x47


class Break(NamedTuple):
    """A place where packets of an elementary stream do not follow on each other."""

    offset: int  # of the first packet behind it, in bytes from the start of the file
    starts: bool  # a frame starts there
    ended: bool  # the frame before it had ended


def breaks_of(path: Path, pid: int) -> list[Break] | None:
    """The breaks in the elementary stream `pid`, in their order; None for a file that is not packets throughout."""
    data = np.memmap(path, np.uint8, "r")
    for size in PACKET_BYTES:
        for first in (0, 4):
            count = (len(data) - first) // size
            if count and np.all(data[first : first + count * size : size] == SYNC):
                heads = data[first : first + count * size].reshape(count, size)[:, :6].astype(np.int16)
                return [Break(number * size, starts, ended) for number, starts, ended in _breaks(heads, pid)]
    return None


def _breaks(heads: np.ndarray, pid: int) -> Iterator[tuple[int, bool, bool]]:
    """Number of the packet behind each break, and the rest of a `Break`. `heads`: six bytes of each packet."""
    with_payload = heads[:, 3] & 0x10 != 0  # others are not counted
    numbers = np.flatnonzero(((heads[:, 1] & 0x1F) * 256 + heads[:, 2] == pid) & with_payload)
    own = heads[numbers]
    steps = np.diff(own[:, 3] & 0x0F) % 16
    damaged = own[:, 1] & 0x80 != 0  # the receiver says so
    behind = np.flatnonzero((steps > 1) | damaged[1:]) + 1  # a packet may be sent twice
    for place in behind:
        starts = bool(own[place, 1] & 0x40) and not damaged[place]
        yield int(numbers[place]), starts, _filled_up(own[place - 1])


def _filled_up(head: np.ndarray) -> bool:
    """Whether a packet has nothing but filling in front of its payload, as the last one of a frame has."""
    if not head[3] & 0x20:
        return False
    length, flags = head[4], head[5]
    clocks = 6 * (flags >> 4 & 1) + 6 * (flags >> 3 & 1)
    return bool(length == 0 or (length > 1 + clocks and not flags & 0x07))


def damaged_frames(places: Sequence[tuple[int, bool]], breaks: Sequence[Break]) -> list[bool]:
    """Which frames (offset in the file and whether it is a key frame, in the order in which they are stored) are
    damaged, or follow on frames that are missing."""
    damaged = []
    offsets = [each.offset for each in breaks]
    behind = [*(offset for offset, _ in places[1:]), 1 << 62]
    for (offset, key), following in zip(places, behind, strict=False):
        inside = breaks[bisect_left(offsets, offset) : bisect_right(offsets, following)]
        damaged.append(
            any(
                (each.offset == offset and not (each.starts and key))
                or offset < each.offset < following
                or (each.offset == following and not each.ended)
                for each in inside
            )
        )
    return damaged
