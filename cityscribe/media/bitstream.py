"""What the coded bytes of a packet say of its frame, without decoding them.

Containers mark packets as key frames and say when each is shown. They do not say that a packet holds a frame that is
never shown (VP8 and VP9 code such "alternate references"), that decoding may really start at a key frame, or that no
other frame needs a frame. The first bits of a coded frame do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Coded:
    """What is known of one packet from its bytes."""

    shown: int | None  # frames that it brings to the screen; None where that is not known
    refresh: bool = False  # no frame stored after it refers to one stored before it
    unreferenced: bool = False  # no other frame refers to it
    bidirectional: bool = False  # a B-frame: shown before frames that are stored before it
    leading: bool = False  # players leave it out where decoding starts at the key frame before it
    ends_sequence: bool = False  # what follows is a new coded sequence


UNKNOWN = Coded(shown=None)
ONE_FRAME = Coded(shown=1)

SHORTEST_CODED_VOP = 20
"""Bytes. A shorter packet of MPEG-4 Part 2 may say "not coded": the frame before it stays."""

Reader = Callable[[Any], Coded]


def packet_reader(context: Any) -> Reader:
    """The function that reads the packets of a stream (buffers of bytes), by the codec context of PyAV."""
    name = context.codec.canonical_name
    if context.codec.intra_only:
        return lambda packet: ONE_FRAME
    if name in NAL_READERS:
        extradata = context.extradata or b""
        # avcC and hvcC, ISO/IEC 14496-15: the size of the number before each NAL unit.
        stored_sizes = {"h264": (7, 4), "hevc": (23, 21)}[name]
        has_sizes = len(extradata) >= stored_sizes[0] and extradata[0] == 1
        size_bytes = (extradata[stored_sizes[1]] & 3) + 1 if has_sizes else 0
        return functools.partial(NAL_READERS[name], size_bytes=size_bytes)
    return READERS.get(name, lambda packet: UNKNOWN)


def _h264(packet: Any, size_bytes: int) -> Coded:
    """ITU-T H.264, section 7.4.1: a refresh has NAL unit type 5; `nal_ref_idc` is 0 in slices that no frame needs."""
    headers = [unit[0] for unit in _nal_units(packet, size_bytes)]
    slices = [header for header in headers if 1 <= header & 31 <= 5]
    if not slices:
        return UNKNOWN
    return Coded(
        shown=1,
        refresh=slices[0] & 31 == 5,
        unreferenced=not any(header & 0x60 for header in slices),
        ends_sequence=any(header & 31 in (10, 11) for header in headers),
    )


def _hevc(packet: Any, size_bytes: int) -> Coded:
    """ITU-T H.265, table 7-1: a refresh has NAL unit type 19 or 20; 8 and 9 are skipped where decoding starts at the
    key frame before them. Which frames others need depends on sub-layers."""
    kinds = [unit[0] >> 1 & 63 for unit in _nal_units(packet, size_bytes)]
    first = next((kind for kind in kinds if kind < 32), None)
    if first is None:
        return UNKNOWN
    return Coded(
        shown=1,
        refresh=first in (19, 20),
        leading=first in (8, 9),
        ends_sequence=any(kind in (36, 37) for kind in kinds),
    )


def _nal_units(packet: Any, size_bytes: int) -> Iterator[memoryview]:
    """The NAL units of a packet, none of them empty: behind their sizes, or (`size_bytes` 0) behind start codes as in
    Annex B."""
    data = memoryview(packet)
    if size_bytes:
        place = 0
        while place + size_bytes < len(data):
            start = place + size_bytes
            place = start + int.from_bytes(data[place:start], "big")
            if place > start:
                yield data[start:place]
        return
    content = bytes(data)
    place = content.find(b"\0\0\1")
    while place >= 0:
        start = place + 3
        place = content.find(b"\0\0\1", start)
        if start < len(content) and place != start:
            yield data[start : place if place >= 0 else len(content)]


def _vp8(packet: Any) -> Coded:
    """RFC 6386, section 9.1: bit 4 of the first byte is `show_frame`."""
    return Coded(shown=memoryview(packet)[0] >> 4 & 1)


def _vp9(packet: Any) -> Coded:
    """VP9 Bitstream Specification, section 6.2 and Annex B: a packet is a frame, or a superframe with an index."""
    data = memoryview(packet)
    sizes = [len(data)]
    marker = data[-1]
    if marker >> 5 == 0b110:
        count, width = (marker & 7) + 1, (marker >> 3 & 3) + 1
        index = data[-2 - count * width :]
        if len(index) == 2 + count * width and index[0] == marker:
            sizes = [int.from_bytes(index[1 + n * width : 1 + (n + 1) * width], "little") for n in range(count)]
    shown = place = 0
    for size in sizes:
        if size and place < len(data):
            shown += _vp9_shown(data[place])
        place += size
    return Coded(shown=shown)


def _vp9_shown(first: int) -> bool:
    """By the first byte of a frame: frame marker (2 bits), profile (2 or, for profile 3, 3 bits),
    show_existing_frame, frame_type, show_frame."""
    bits = f"{first:08b}"
    place = 5 if bits[2:4] == "11" else 4
    return bits[place] == "1" or bits[place + 2] == "1"


def _mpeg4(packet: Any) -> Coded:
    """ISO/IEC 14496-2: a packet with one VOP. AVI files also pack two into one, and one that is not coded for it."""
    content = bytes(packet)
    place = content.find(b"\0\0\1\xb6")
    if place < 0 or place + 4 >= len(content) or len(content) < SHORTEST_CODED_VOP:
        return UNKNOWN
    if content.find(b"\0\0\1\xb6", place + 4) >= 0:
        return UNKNOWN
    return Coded(shown=1, bidirectional=content[place + 4] >> 6 == 2)


NAL_READERS: dict[str, Callable[..., Coded]] = {"h264": _h264, "hevc": _hevc}

READERS: dict[str, Reader] = {"vp8": _vp8, "vp9": _vp9, "mpeg4": _mpeg4, "av1": lambda packet: ONE_FRAME}
"""A temporal unit of AV1 shows one frame (AV1 Bitstream Specification, section 7.5), and containers store those."""
