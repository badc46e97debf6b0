"""Count, order and pixels of frames equal ffmpeg's own decoding, for each container and codec that PyAV can write."""

from __future__ import annotations

import contextlib
import functools
import random
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cityscribe.media.bitstream import READERS
from cityscribe.media.video import VideoError, frame_at, probe, read_frames
from tests.media.numbered_video import HEIGHT, WIDTH, number_of, numbered_frame

COUNT = 30
VPX = {"deadline": "good", "cpu-used": "8", "g": "12"}
CODECS = {
    "libx264": ("yuv420p", {"preset": "veryfast", "x264-params": "bframes=2:keyint=12"}),
    "libx264 low delay": ("yuv420p", {"preset": "ultrafast", "x264-params": "bframes=0:keyint=12"}),
    "libx264 open gop": ("yuv420p", {"preset": "veryfast", "x264-params": "bframes=3:keyint=10:open-gop=1"}),
    "libx264 interlaced": ("yuv420p", {"preset": "veryfast", "x264-params": "bframes=2:keyint=12:tff=1"}),
    "libx265": ("yuv420p", {"preset": "ultrafast", "x265-params": "keyint=12:log-level=none:bframes=3"}),
    "libvpx": ("yuv420p", VPX),
    "libvpx-vp9": ("yuv420p", VPX),
    "libsvtav1": ("yuv420p", {"preset": "12"}),
    "libaom-av1": ("yuv420p", {"cpu-used": "8", "lag-in-frames": "12", "usage": "good"}),
    "mpeg4 b-frames": ("yuv420p", {"bf": "2"}),
    "mpeg4": ("yuv420p", {}),
    "mpeg2video": ("yuv420p", {"bf": "2"}),
    "mpeg1video": ("yuv420p", {"bf": "2"}),
    "mjpeg": ("yuvj420p", {}),
    "msmpeg4": ("yuv420p", {}),
    "msmpeg4v2": ("yuv420p", {}),
    "wmv2": ("yuv420p", {}),
    "flv": ("yuv420p", {}),
    "ffv1": ("yuv420p", {}),
    "ffvhuff": ("yuv420p", {}),
    "huffyuv": ("yuv422p", {}),
    "utvideo": ("yuv420p", {}),
    "prores_ks": ("yuv422p10le", {}),
    "png": ("rgb24", {}),
    "qtrle": ("rgb24", {}),
    "rawvideo": ("yuv420p", {}),
    "libtheora": ("yuv420p", {}),
    "gif": ("rgb8", {}),
    "apng": ("rgb24", {}),
}
CONTAINERS = (
    *("mp4", "mov", "m4v", "3gp", "mkv", "webm", "avi", "flv", "ts", "m2ts", "mpg", "vob", "asf", "nut", "ogv", "mxf"),
    *("ivf", "gif", "y4m", "apng", "h264", "hevc", "obu", "mjpeg", "m1v", "m2v"),
)


@functools.cache
def picture(number: int) -> np.ndarray:
    """A numbered frame in double size, above a ramp that moves."""
    shown = np.kron(numbered_frame(number), np.ones((2, 2, 1), np.uint8))
    shown[-20:] = np.roll(np.arange(WIDTH * 2, dtype=np.uint8), 3 * number)[None, :, None]
    return shown


def write(path: Path, codec: str, pixels: str, options: dict[str, str], times: list[int] | None = None) -> bool:
    """Write numbered frames, at `times` in units of 1/100 s; false where the container cannot hold the codec."""
    try:
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=25, options=options)
            stream.width, stream.height, stream.pix_fmt = WIDTH * 2, HEIGHT * 2, pixels
            stream.codec_context.thread_count = 1
            if times:
                stream.codec_context.time_base = Fraction(1, 100)
            for number in range(COUNT):
                frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24").reformat(format=pixels)
                frame.pts = times[number] if times else number
                frame.time_base = Fraction(1, 100 if times else 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (av.FFmpegError, ValueError, OSError):
        path.unlink(missing_ok=True)
        return False
    return True


def decoded(path: Path) -> list[np.ndarray]:
    """All frames that plain decoding gives, in its order; none where ffmpeg itself does not know its file again."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    except (av.FFmpegError, IndexError, AttributeError):
        return []


def assert_equal(path: Path, expected: list[np.ndarray]) -> None:
    assert probe(path).frames == len(expected), path.name
    found = read_frames(path, range(len(expected)))
    wrong = [number for number, frame in enumerate(expected) if not np.array_equal(found[number], frame)]
    assert not wrong, path.name
    for number in (len(expected) - 1, len(expected) // 2):
        assert np.array_equal(read_frames(path, [number])[number], expected[number]), path.name


@pytest.mark.parametrize("name", CODECS)
def test_frames_are_those_of_ffmpeg(name: str, tmp_path: Path) -> None:
    codec = name.partition(" ")[0]
    if codec not in av.codecs_available:
        pytest.skip(f"PyAV has no {codec} here")
    compared = 0
    few = (
        ("mp4", "mkv", "avi", "ts")
        if name != codec
        else ("mp4", "mkv", "webm", "flv", "ts", "nut", "ivf", "hevc", "obu")
    )
    slow = codec in ("libx265", "libvpx", "libvpx-vp9", "libsvtav1")
    for suffix in few if slow or name != codec else CONTAINERS:
        path = tmp_path / f"{codec}.{suffix}"
        if write(path, codec, *CODECS[name]) and (expected := decoded(path)):
            assert_equal(path, expected)
            compared += 1
    assert compared


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "ts", "flv", "nut"])
@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
def test_variable_rates_keep_their_times(codec: str, suffix: str, tmp_path: Path) -> None:
    times = [int(time) for time in np.cumsum(np.random.default_rng(1).integers(1, 30, COUNT))]
    path = tmp_path / f"uneven.{suffix}"
    if not write(path, codec, *CODECS[codec], times=times) or not (expected := decoded(path)):
        pytest.skip(f"{suffix} does not hold {codec}")
    assert_equal(path, expected)
    shown = [number_of(np.ascontiguousarray(frame[::2, ::2])) for frame in read_frames(path, range(COUNT)).values()]
    assert shown == list(range(COUNT))
    assert [frame_at(path, (time - times[0]) / 100 + 0.002) for time in times] == list(range(COUNT))


@pytest.mark.parametrize("early", [0, 1])
@pytest.mark.parametrize("suffix", ["webm", "mkv", "ivf"])
def test_frames_that_are_never_shown_are_not_counted(suffix: str, early: int, tmp_path: Path) -> None:
    """Alternate references of VP8 (made by clearing `show_frame`, RFC 6386, section 9.1) have packets of their own, at
    the time of the frame behind them or a millisecond before."""
    source, path = tmp_path / "source.webm", tmp_path / f"hidden.{suffix}"
    assert write(source, "libvpx", *CODECS["libvpx"])
    hidden = {5, 12, 13, 20}
    with av.open(str(source)) as reading, av.open(str(path), "w") as writing:
        copy = writing.add_stream_from_template(reading.streams.video[0])
        for number, packet in enumerate(packet for packet in reading.demux(video=0) if packet.size):
            content = bytearray(packet)
            if number in hidden:
                content[0] &= ~0x10
            coded = av.Packet(bytes(content))
            coded.pts = coded.dts = packet.pts - early * (number in hidden)
            coded.time_base, coded.is_keyframe, coded.stream = packet.time_base, packet.is_keyframe, copy
            writing.mux(coded)
    expected = decoded(path)
    assert len(expected) == COUNT - len(hidden)
    assert_equal(path, expected)
    shown = [number for number in range(COUNT) if number not in hidden]
    assert [frame_at(path, number / 25) for number in shown] == list(range(len(shown)))


def test_superframes_of_vp9_show_what_their_frames_show() -> None:
    hidden, shown, repeated = b"\x80" + bytes(9), b"\x82" + bytes(4), b"\x88"
    marker = 0b11000000
    for frames, count in (((hidden, shown), 1), ((hidden, repeated), 1), ((shown,), 1), ((shown, shown), 2)):
        index = bytes([marker | len(frames) - 1, *(len(frame) for frame in frames), marker | len(frames) - 1])
        assert READERS["vp9"](b"".join(frames) + index).shown == count
    assert [READERS["vp9"](frame).shown for frame in (hidden, shown, repeated)] == [0, 1, 1]


@pytest.mark.parametrize("codec", ["libx264", "mpeg4 b-frames"])
def test_avi_with_b_frames_is_counted(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "video.avi"
    assert write(path, codec.partition(" ")[0], *CODECS[codec])
    assert_equal(path, decoded(path))
    assert [frame_at(path, number / 25) for number in range(COUNT)] == list(range(COUNT))
    assert probe(path).duration_s == pytest.approx(COUNT / 25)


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("libx264", "ts"),
        ("libx264", "mkv"),
        ("libvpx", "webm"),
        ("libvpx-vp9", "webm"),
        ("mpeg4", "avi"),
        ("libx265", "ts"),
    ],
)
@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_damage_never_ends_in_anything_but_a_video_error(codec: str, suffix: str, tmp_path: Path, seed: int) -> None:
    whole, path = tmp_path / f"whole.{suffix}", tmp_path / f"damaged.{suffix}"
    if not whole.exists():
        assert write(whole, codec, *CODECS[codec])
    rng = random.Random(seed)
    content = bytearray(whole.read_bytes())
    for _ in range(rng.randrange(1, 12)):
        start = rng.randrange(len(content))
        content[start : start + rng.randrange(1, 64)] = rng.randbytes(rng.randrange(0, 64))
    path.write_bytes(content)
    with contextlib.suppress(VideoError):
        info = probe(path)
        frame_at(path, 1.0)
        for number in (0, info.frames // 2, info.frames - 1):
            with contextlib.suppress(VideoError):
                read_frames(path, [number])


def ts_packets(data: bytes, packet_size: int = 188) -> list[bytes]:
    return [data[place : place + packet_size] for place in range(0, len(data), packet_size)]


def shown_numbers(path: Path) -> list[int]:
    frames = read_frames(path, range(probe(path).frames))
    return [number_of(np.ascontiguousarray(frame[::2, ::2])) for frame in frames.values()]


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video"])
def test_joined_recordings_go_on(codec: str, tmp_path: Path) -> None:
    """The same clock twice, and a clock that has run far ahead: all frames, at times that go on."""
    first = tmp_path / "first.ts"
    assert write(first, codec, *CODECS[codec])
    later = tmp_path / "later.ts"
    assert write(later, codec, *CODECS[codec], times=[500_000 + 4 * number for number in range(COUNT)])
    for name, parts in {"twice": [first, first, first], "ahead": [first, later], "back": [later, first]}.items():
        path = tmp_path / f"{name}.ts"
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        info = probe(path)
        count = COUNT * len(parts)
        assert (info.frames, info.complete, info.losses) == (count, True, ())
        assert shown_numbers(path) == list(range(COUNT)) * len(parts)
        assert info.duration_s == pytest.approx(count / 25, abs=0.3)
        assert frame_at(path, (COUNT + 10) / 25) == pytest.approx(COUNT + 10, abs=3)
        assert_equal(path, decoded(path))


def test_what_is_lost_of_a_transport_stream_is_said(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.ts", tmp_path / "lossy.ts"
    assert write(whole, "libx264", *CODECS["libx264"])
    packets = ts_packets(whole.read_bytes())
    pictures = [frame.tobytes() for frame in decoded(whole)]
    for lost in (range(8, 10), range(22, 23), range(28, 30), range(40, 45)):
        path.write_bytes(b"".join(packet for place, packet in enumerate(packets) if place not in lost))
        info = probe(path)
        assert info.losses
        good = []
        for number in range(info.frames):
            try:
                frame = read_frames(path, [number])[number]
            except VideoError as error:
                assert f"frame {number} cannot be decoded" in str(error)  # noqa: PT017
            else:
                good.append(pictures.index(frame.tobytes()))
        assert COUNT // 4 < len(good) < COUNT
        assert good == sorted(good)
        assert 29 in good  # behind the next key frame all is well again


@pytest.mark.parametrize("suffix", ["ts", "mkv", "mp4"])
@pytest.mark.parametrize("codec", ["libx264 open gop", "libx264 refresh", "libx265", "mpeg2video"])
@pytest.mark.parametrize("drop", ["to a key frame", "between"])
def test_recordings_that_start_anywhere_number_what_players_show(
    codec: str, suffix: str, drop: str, tmp_path: Path
) -> None:
    source, path = tmp_path / f"source.{suffix}", tmp_path / f"cut.{suffix}"
    pixels, options = CODECS.get(
        codec, ("yuv420p", {"preset": "veryfast", "x264-params": "intra-refresh=1:keyint=10:bframes=0:scenecut=0"})
    )
    repeated = {key: f"{value}:repeat-headers=1" for key, value in options.items() if key.endswith("params")}
    assert write(source, codec.partition(" ")[0], pixels, {**options, **repeated})
    with av.open(str(source)) as reading, av.open(str(path), "w") as writing:
        copy = writing.add_stream_from_template(reading.streams.video[0])
        packets = [packet for packet in reading.demux(video=0) if packet.size]
        key = next(place for place, packet in enumerate(packets) if place and packet.is_keyframe)
        for packet in packets[key + (drop == "between") :]:
            packet.stream = copy
            writing.mux(packet)
    expected = decoded(path)
    assert 0 < len(expected) < COUNT
    assert_equal(path, expected)


def test_a_cover_before_the_clip_is_not_taken_for_it(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"
    assert write(clip, "libx264", *CODECS["libx264"])
    for name, codec in {"first": "mjpeg"}.items():
        for attached in (True, False):
            path = tmp_path / f"{name}{attached}.mkv"
            with av.open(str(clip)) as reading, av.open(str(path), "w") as writing:
                cover = writing.add_stream(codec, rate=25)
                cover.width, cover.height = 320, 240
                cover.pix_fmt = "yuvj420p" if codec == "mjpeg" else "rgb24"
                if attached:
                    cover.disposition = av.stream.Disposition.attached_pic
                copy = writing.add_stream_from_template(reading.streams.video[0])
                writing.mux(cover.encode(av.VideoFrame(320, 240, cover.pix_fmt)))
                writing.mux(cover.encode(None))
                for packet in (packet for packet in reading.demux(video=0) if packet.size):
                    packet.stream = copy
                    writing.mux(packet)
            assert probe(path).frames == COUNT
            assert shown_numbers(path) == list(range(COUNT))


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4 b-frames", "libx265", "mjpeg"])
def test_edit_lists_and_rotation_in_other_codecs(codec: str, suffix: str, tmp_path: Path) -> None:
    source, path = tmp_path / f"source.{suffix}", tmp_path / f"edited.{suffix}"
    assert write(source, codec.partition(" ")[0], *CODECS[codec])
    with av.open(str(source)) as reading, av.open(str(path), "w") as writing:
        stream = reading.streams.video[0]
        copy = writing.add_stream_from_template(stream)
        copy.set_display_rotation(90)
        skipped = round(7 / 25 / stream.time_base)
        for packet in (packet for packet in reading.demux(stream) if packet.size):
            packet.pts -= skipped
            packet.dts -= skipped
            packet.stream = copy
            writing.mux(packet)
    expected = [np.rot90(frame) for frame in decoded(path)]
    assert 0 < len(expected) < COUNT
    assert_equal(path, expected)
    assert (probe(path).width, probe(path).height) == (HEIGHT * 2, WIDTH * 2)


def test_a_title_in_any_encoding_keeps_no_video_from_being_read(tmp_path: Path) -> None:
    """Neither do the versions of PyAV that have to be told so, nor those that must not be."""
    path = tmp_path / "titled.mp4"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "MARKMARK"
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    assert b"MARKMARK" in content
    path.write_bytes(content.replace(b"MARKMARK", b"\xff\xfe\xe9\x80MARK"))
    assert probe(path).frames == 3
    assert number_of(read_frames(path, [2])[2]) == 2
