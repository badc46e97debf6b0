"""Opening a video file: which formats are opened, and which of its streams is the video."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from cityscribe.files import InputError

CONTAINERS = (
    *("mov", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "live_flv", "asf", "ogg", "nut", "mxf", "wtv", "rm"),
    *("ivf", "gif", "apng", "yuv4mpegpipe", "dv", "obu", "av1", "h264", "hevc", "mpegvideo", "m4v", "mjpeg", "vc1"),
    *(
        "h261",
        "h263",
        "dhav",
        "swf",
        "gxf",
        "lxf",
        "roq",
        "bink",
        "smk",
        "ea",
        "film_cpk",
        "avs",
        "avs2",
        "avs3",
        "vvc",
    ),
    *("wav", "mp3", "flac", "aac"),  # which are told that they have no video
)
"""What is opened, by ffmpeg's names: formats that hold their frames themselves."""

STILL_CODECS = frozenset({"mjpeg", "png", "bmp", "gif", "tiff", "webp"})
"""In which files keep pictures of a cover beside their video."""

JOINED = frozenset({"mpegts", "mpeg"})
"""Containers that may be joined end to end, so that their clock jumps."""

LENIENT: Any = {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "replace"}
"""How PyAV is told that a title need not be UTF-8; from version 19 on it takes any without being told."""


class VideoError(InputError):
    """A video cannot be read or written. The message names the file and, where there is one, its last good frame."""


@contextlib.contextmanager
def open_video(path: Path) -> Iterator[Any]:
    """The PyAV container of a file; what goes wrong in reading it becomes a VideoError.

    Its video stream (`video_stream`) decodes in one thread: damage then shows the same way every time, and worker
    processes do not compete for cores.
    """
    try:
        # "file:" keeps a name with a colon from being taken for an address; nothing but files is opened, and no list of
        # other files.
        options = {"protocol_whitelist": "file", "format_whitelist": ",".join(CONTAINERS)}
        with av.open(f"file:{path}", container_options=options, **LENIENT) as container:
            if not container.streams.video:
                raise VideoError(f"{path}: has no video stream")
            context = video_stream(container).codec_context
            if context is None:
                raise VideoError(f"{path}: its video is coded in a way that cannot be decoded")
            context.thread_count = 1
            yield container
    except av.ArgumentError as error:
        raise VideoError(f"{path}: not a video, or of a format that is not read") from error
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: not a readable video: {reason(error)}") from error


def video_stream(container: Any) -> Any:
    """The video of a container: its first one that is neither marked as an attached picture nor, beside others, coded
    as pictures are. Where all are, the one that players take."""
    streams = container.streams.video
    moving = [stream for stream in streams if not stream.disposition & av.stream.Disposition.attached_pic]
    if len(moving) > 1:
        clips = [stream for stream in moving if _codec_name(stream) not in STILL_CODECS]
        return clips[0] if clips else container.streams.best("video") or moving[0]
    return (moving or streams)[0]


def _codec_name(stream: Any) -> str:
    return stream.codec_context.codec.canonical_name if stream.codec_context is not None else ""


def formats(container: Any) -> set[str]:
    """The names of the format of a container; MP4 and its kin are `mov` among others."""
    return set(container.format.name.split(","))


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
