"""Frames are exact: each one asked for is the one that was written there, whatever the file looks like."""

from __future__ import annotations

import contextlib
import itertools
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityscribe.files import InputError
from cityscribe.media import video
from cityscribe.media.video import VideoError, frame_at, frame_index, probe, read_frames, write_video
from cityscribe.media.video_index import frame_index_of
from tests.media.numbered_video import HEIGHT, WIDTH, number_of, numbered_frame

REAL_VIDEOS = sorted((Path(__file__).parents[1] / "data" / "real_sample" / "videos").rglob("*.mp4"))


def numbered(count: int) -> list[np.ndarray]:
    return [numbered_frame(number) for number in range(count)]


def uneven_times(count: int, seed: int = 0, start_s: float = 3.0) -> list[float]:
    """Times of a variable-frame-rate video, between 5 and 200 ms apart."""
    steps = np.random.default_rng(seed).uniform(0.005, 0.2, count)
    return [start_s + float(time) for time in np.cumsum(steps)]


def remux(source: Path, target: Path, *, format: str | None = None, shift: int = 0, drop_first: int = 0) -> Path:
    """Copy the packets of a video into another container, its timestamps shifted by ticks."""
    with av.open(str(source)) as reading, av.open(str(target), "w", format=format) as writing:
        stream = reading.streams.video[0]
        copy = writing.add_stream_from_template(stream)
        for packet in itertools.islice((packet for packet in reading.demux(stream) if packet.size), drop_first, None):
            packet.pts += shift
            packet.dts += shift
            packet.stream = copy
            writing.mux(packet)
    return target


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 numbered frames at uneven times, with B-frames, a start offset and key frames in between."""
    path = tmp_path_factory.mktemp("video") / "uneven.mp4"
    write_video(path, numbered(300), 30, times_s=uneven_times(300), key_every=40)
    return path


@pytest.fixture(scope="module")
def even(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "even.mp4"
    write_video(path, numbered(100), 25, key_every=30)
    return path


@pytest.mark.parametrize("path", REAL_VIDEOS, ids=lambda path: path.stem)
def test_real_clips_equal_a_full_decode_in_sequence(path: Path) -> None:
    with av.open(str(path)) as container:
        sequence = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    together = read_frames(path, range(len(sequence)))
    assert probe(path).frames == len(sequence)
    assert all(np.array_equal(together[number], frame) for number, frame in enumerate(sequence))
    for number in (0, 7, 16, 30, len(sequence) - 1):
        assert np.array_equal(read_frames(path, [number])[number], sequence[number])


def test_probe_of_real_clips() -> None:
    facts = {(info.width, info.height, info.fps, info.frames, info.complete) for info in map(probe, REAL_VIDEOS)}
    assert facts == {(480, 270, 12.0, 41, True), (1280, 720, 25.0, 38, True)}


@settings(deadline=None, max_examples=25)
@given(wanted=st.lists(st.integers(0, 299), min_size=1, max_size=6))
def test_any_frames_of_a_variable_rate_video(uneven: Path, wanted: list[int]) -> None:
    frames = read_frames(uneven, wanted)
    assert {number: number_of(frame) for number, frame in frames.items()} == {number: number for number in wanted}
    assert all(frame.shape == (HEIGHT, WIDTH, 3) and frame.dtype == np.uint8 for frame in frames.values())


def test_a_frame_is_the_same_from_a_key_frame_and_from_the_start(uneven: Path) -> None:
    everything = read_frames(uneven, range(300))
    for number in range(0, 300, 17):
        assert np.array_equal(read_frames(uneven, [number])[number], everything[number])


def test_frame_at_is_the_last_frame_not_later(uneven: Path) -> None:
    times = uneven_times(300)
    shown = [time - times[0] for time in times]
    for number, time_s in enumerate(shown):
        following = shown[number + 1] if number < 299 else time_s + 1
        assert frame_at(uneven, time_s) == number
        assert frame_at(uneven, (time_s + following) / 2) == number
        assert frame_at(uneven, following - 0.002) == number
    assert frame_at(uneven, -5.0) == 0
    assert frame_at(uneven, 1e6) == 299


def test_times_rounded_to_milliseconds_mean_the_frame_that_they_were_taken_from(tmp_path: Path) -> None:
    path = tmp_path / "thirds.mp4"
    write_video(path, numbered(60), 12)
    assert [frame_at(path, round(number / 12, 3)) for number in range(60)] == list(range(60))


@pytest.mark.parametrize("gap_s", [0.5, 6.5 * 3600, 6.7 * 3600, 48 * 3600, 4 * 86400])
@pytest.mark.parametrize("places", [(5,), (5, 6, 7), (1, 11)])
def test_times_of_hours_and_days_are_written(tmp_path: Path, gap_s: float, places: tuple[int, ...]) -> None:
    path = tmp_path / "gaps.mp4"
    steps = [gap_s if number in places else 0.04 for number in range(12)]
    times = list(itertools.accumulate(steps))
    write_video(path, numbered(12), 25, times_s=times)
    found = frame_index_of(path).times_s
    assert found == pytest.approx([time - times[0] for time in times], abs=6e-4, rel=0)
    assert [number_of(frame) for frame in read_frames(path, range(12)).values()] == list(range(12))


def test_times_that_no_file_can_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"gaps\.mp4: cannot be written: 4 frames in a row take 30 days"):
        write_video(tmp_path / "gaps.mp4", numbered(3), 25, times_s=[0, 1, 30 * 86400])
    assert list(tmp_path.iterdir()) == []


def test_probe_of_a_variable_rate_video(uneven: Path) -> None:
    info = probe(uneven)
    times = uneven_times(300)
    assert (info.width, info.height, info.frames) == (WIDTH, HEIGHT, 300)
    assert info.duration_s == pytest.approx(times[-1] - times[0], abs=0.25)
    assert info.fps == pytest.approx(300 / info.duration_s, rel=0.02)


@pytest.mark.parametrize("b_frames", [0, 1, 3])
@pytest.mark.parametrize("key_every", [1, 7, 250])
def test_coding_structures(tmp_path: Path, b_frames: int, key_every: int) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, numbered(40), Fraction(30000, 1001), b_frames=b_frames, key_every=key_every)
    assert [number_of(frame) for frame in read_frames(path, range(40)).values()] == list(range(40))
    assert [number_of(read_frames(path, [number])[number]) for number in (39, 20, 0)] == [39, 20, 0]


@pytest.mark.parametrize(
    "options", ["bframes=0", "bframes=3:b-pyramid=strict", "bframes=3:open-gop=1", "bframes=5:b-adapt=0"]
)
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_frames_that_are_leapt_over_change_no_pixel(tmp_path: Path, codec: str, options: str) -> None:
    """Each frame alone, from wherever its decoding starts, equals itself in a decode of the whole file."""
    path = tmp_path / "video.mp4"
    parameters = {f"{codec.removeprefix('lib')}-params": f"keyint=12:min-keyint=12:log-level=none:{options}"}
    with av.open(str(path), "w") as container:
        try:
            stream = container.add_stream(codec, rate=25, options={"preset": "veryfast", **parameters})
        except av.codec.codec.UnknownCodecError:
            pytest.skip(f"PyAV has no {codec} here")
        stream.width, stream.height, stream.pix_fmt = WIDTH, 2 * HEIGHT, "yuv420p"
        for number, picture in enumerate(numbered(50)):
            noise = np.random.default_rng(number).integers(0, 40, picture.shape, np.uint8)
            moving = np.concatenate([picture, np.roll(picture // 2 + noise, number, axis=1)])
            frame = av.VideoFrame.from_ndarray(moving, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        sequence = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(sequence) == 50
    for number, frame in enumerate(sequence):
        assert np.array_equal(read_frames(path, [number])[number], frame)
    some = read_frames(path, [3, 4, 17, 40, 41])
    assert all(np.array_equal(frame, sequence[number]) for number, frame in some.items())


def test_little_is_decoded_for_a_frame_late_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, numbered(120), 25, key_every=30, b_frames=2)
    probe(path)
    decoded = []
    real = video._decode_span

    def counting(container: Any, packets: Any, places: Any) -> Any:
        listed = list(packets)
        decoded.extend(stored for stored, _ in listed)
        return real(container, listed, places)

    monkeypatch.setattr(video, "_decode_span", counting)
    assert number_of(read_frames(path, [110])[110]) == 110
    assert min(decoded) == 90
    assert len(decoded) < 18  # of 21 or so that are stored from there to it


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mov"])
def test_other_containers(even: Path, tmp_path: Path, suffix: str) -> None:
    path = remux(even, tmp_path / f"copy{suffix}")
    assert probe(path).frames == 100
    assert {n: number_of(frame) for n, frame in read_frames(path, [0, 1, 31, 58, 99]).items()} == {
        n: n for n in [0, 1, 31, 58, 99]
    }
    assert frame_at(path, 2.0) == 50


def test_a_stream_without_timestamps_is_counted(even: Path, tmp_path: Path) -> None:
    path = remux(even, tmp_path / "raw.h264", format="h264")
    assert probe(path).frames == 100
    assert [number_of(frame) for frame in read_frames(path, [0, 47, 99]).values()] == [0, 47, 99]
    with pytest.raises(VideoError, match="frame 100 cannot be read, the last good frame is 99"):
        read_frames(path, [100])


def test_avi_with_b_frames_has_no_presentation_times(tmp_path: Path) -> None:
    path = tmp_path / "video.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"bf": "2", "g": "12", "qscale": "3"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, picture in enumerate(numbered(60)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert probe(path).frames == 60
    assert [number_of(frame) for frame in read_frames(path, range(60)).values()] == list(range(60))
    assert [frame_at(path, number / 25) for number in (0, 1, 30, 59)] == [0, 1, 30, 59]


def test_frames_before_an_edit_list_are_not_shown(even: Path, tmp_path: Path) -> None:
    ticks_of_ten_frames = 10 * 512
    path = remux(even, tmp_path / "edited.mp4", shift=-ticks_of_ten_frames)
    with av.open(str(path)) as container:
        shown = [number_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert shown[0] == 10
    assert probe(path).frames == len(shown)
    assert [number_of(frame) for frame in read_frames(path, range(len(shown))).values()] == shown


def test_recording_that_starts_between_key_frames(even: Path, tmp_path: Path) -> None:
    path = remux(even, tmp_path / "cut.ts", drop_first=12)
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        decoded = list(container.decode(video=0))
        shown = [number_of(frame.to_ndarray(format="rgb24")) for frame in decoded if not frame.is_corrupt]
    assert shown[0] == 30
    assert probe(path).frames == len(shown)
    assert number_of(read_frames(path, [5])[5]) == shown[5]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied_as_opencv_does(tmp_path: Path, degrees: int) -> None:
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:16, :32] = 255
    plain, turned = tmp_path / "plain.mp4", tmp_path / "turned.mp4"
    write_video(plain, [picture] * 3, 25)
    with av.open(str(plain)) as reading, av.open(str(turned), "w") as writing:
        copy = writing.add_stream_from_template(reading.streams.video[0])
        copy.set_display_rotation(degrees)
        for packet in (packet for packet in reading.demux(video=0) if packet.size):
            packet.stream = copy
            writing.mux(packet)
    ours = read_frames(turned, [1])[1]
    theirs = cv2.VideoCapture(str(turned)).read()[1]
    assert ours.shape == theirs.shape
    assert (probe(turned).width, probe(turned).height) == (ours.shape[1], ours.shape[0])
    assert np.array_equal(ours > 128, theirs > 128)


def test_other_turns_are_refused(even: Path, tmp_path: Path) -> None:
    for name, turn in {"askew": {"degrees": 30}, "mirrored": {"degrees": 0, "hflip": True}}.items():
        path = tmp_path / f"{name}.mp4"
        with av.open(str(even)) as reading, av.open(str(path), "w") as writing:
            copy = writing.add_stream_from_template(reading.streams.video[0])
            copy.set_display_rotation(**turn)
            for packet in (packet for packet in reading.demux(video=0) if packet.size):
                packet.stream = copy
                writing.mux(packet)
        with pytest.raises(VideoError, match="only quarter turns"):
            read_frames(path, [0])


@settings(deadline=None, max_examples=25)
@given(share=st.floats(0.0, 0.999))
def test_a_truncated_file_gives_the_frames_before_the_damage(
    uneven: Path, tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    whole = uneven.read_bytes()
    path = tmp_path_factory.mktemp("cut") / "cut.mp4"
    path.write_bytes(whole[: int(len(whole) * share)])
    try:
        info = probe(path)
    except VideoError:
        return
    assert not info.complete
    assert 0 < info.frames < 300
    frames = read_frames(path, range(info.frames))
    assert [number_of(frame) for frame in frames.values()] == list(range(info.frames))
    with pytest.raises(VideoError, match=f"{path}.*last good frame is {info.frames - 1}"):
        read_frames(path, [info.frames])


def test_truncation_costs_only_the_frames_at_the_cut(uneven: Path, tmp_path: Path) -> None:
    whole = uneven.read_bytes()
    with av.open(str(uneven)) as container:
        ends = [packet.pos + packet.size for packet in container.demux(video=0) if packet.size]
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: ends[199]])
    assert 195 <= probe(path).frames <= 200


@pytest.mark.parametrize("b_frames", [0, 3])
def test_frames_keep_their_numbers_wherever_the_cut_is(tmp_path: Path, b_frames: int) -> None:
    whole, path = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    write_video(whole, numbered(24), 25, b_frames=b_frames, key_every=12)
    with av.open(str(whole)) as container:
        ends = [packet.pos + packet.size for packet in container.demux(video=0) if packet.size]
    for stored, end in enumerate(ends[:-1]):
        path.write_bytes(whole.read_bytes()[:end])
        try:
            frames = probe(path).frames
        except VideoError:
            assert stored < b_frames
            continue
        assert stored - b_frames < frames <= stored + 1
        assert [number_of(frame) for frame in read_frames(path, range(frames)).values()] == list(range(frames))


@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_truncated_files_of_other_containers(even: Path, tmp_path: Path, suffix: str) -> None:
    whole = remux(even, tmp_path / f"whole{suffix}").read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    frames = probe(path).frames
    assert 20 < frames < 100
    shown = [number_of(frame) for frame in read_frames(path, range(frames)).values()]
    assert shown[:-3] == list(range(frames - 3))
    with pytest.raises(VideoError, match=str(path)):
        read_frames(path, [frames])


def test_damage_inside_a_file_is_named_and_spares_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "damaged.mp4"
    write_video(path, numbered(90), 25, key_every=30, b_frames=0)
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    place, size = packets[40]
    data[place + 5 : place + size] = bytes(0xFF for _ in range(size - 5))
    path.write_bytes(data)
    assert [number_of(frame) for frame in read_frames(path, [5, 39, 60, 89]).values()] == [5, 39, 60, 89]
    for wanted in ([45], [5, 45], [45, 70]):
        with pytest.raises(VideoError, match=f"{path}: frame 45 cannot be decoded.*before the damage is 39"):
            read_frames(path, wanted)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_scrambled_bytes_never_end_in_anything_but_a_video_error(
    even: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(even.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content) - 1))
        noise = data.draw(st.binary(min_size=1, max_size=64))
        content[start : start + len(noise)] = noise
    path = tmp_path_factory.mktemp("scrambled") / "video.mp4"
    path.write_bytes(content)
    with contextlib.suppress(VideoError):
        info = probe(path)
        frame_at(path, 1.0)
        read_frames(path, [0, info.frames // 2, info.frames - 1])


@pytest.mark.parametrize("content", [b"", b"not a video", b"\x00" * 4096, b'{"annotations": []}'])
def test_files_that_are_no_videos(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=str(path)):
        probe(path)


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile even.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\neven.mp4\n#EXT-X-ENDLIST\n",
        '<?xml version="1.0"?><MPD><Period><AdaptationSet><Representation><BaseURL>even.mp4</BaseURL>',
    ],
)
@pytest.mark.parametrize("suffix", ["mp4", "m3u8"])
def test_lists_of_other_files_are_not_followed(even: Path, tmp_path: Path, text: str, suffix: str) -> None:
    (tmp_path / "even.mp4").write_bytes(even.read_bytes())
    path = tmp_path / f"list.{suffix}"
    path.write_text(text)
    with pytest.raises(VideoError, match=str(path)):
        probe(path)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.mp4", tmp_path):
        with pytest.raises(VideoError, match=str(path)):
            read_frames(path, [0])


def test_a_sound_file_has_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(VideoError, match="no video stream"):
        probe(path)


def test_a_name_with_a_colon_is_a_file(even: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipe:0.mp4").write_bytes(even.read_bytes())
    assert number_of(read_frames(Path("pipe:0.mp4"), [3])[3]) == 3


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    for count in (10, 20):
        write_video(path, numbered(count), 25)
        os.utime(path, ns=(count, count))
        assert probe(path).frames == count


def test_a_video_of_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, [numbered_frame(7)], 25)
    info = probe(path)
    assert (info.frames, info.fps, info.duration_s) == (1, 25.0, pytest.approx(0.04))
    assert number_of(read_frames(path, [0])[0]) == 7
    assert frame_at(path, 3.0) == 0


def test_no_frames_wanted(even: Path) -> None:
    assert read_frames(even, []) == {}
    with pytest.raises(VideoError, match="there is no frame -1"):
        read_frames(even, [-1])


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    for path in (first, second):
        assert write_video(path, iter(numbered(50)), 30) == 50
    assert first.read_bytes() == second.read_bytes()


def test_written_colours_come_back(tmp_path: Path) -> None:
    colours = np.array([[230, 30, 40], [20, 200, 60], [40, 60, 220], [250, 250, 250], [10, 10, 10]], np.uint8)
    picture = np.repeat(np.repeat(colours[None], 64, 0), 32, 1)
    path = tmp_path / "colours.mp4"
    write_video(path, [picture] * 2, 25, crf=10)
    middle = read_frames(path, [0])[0][32, 16::32].astype(int)
    assert np.abs(middle - colours).max() < 8


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"

    def frames() -> itertools.chain[np.ndarray]:
        def broken() -> np.ndarray:
            raise RuntimeError("rendering failed")

        return itertools.chain(numbered(30), iter(broken, None))

    with pytest.raises(RuntimeError, match="rendering failed"):
        write_video(path, frames(), 25)
    with pytest.raises(ValueError, match="no frames"):
        write_video(path, [], 25)
    with pytest.raises(ValueError, match="even sizes"):
        write_video(path, [np.zeros((32, 31, 3), np.uint8)], 25)
    with pytest.raises(ValueError, match="frame 1 is uint8"):
        write_video(path, [np.zeros((32, 32, 3), np.uint8), np.zeros((32, 34, 3), np.uint8)], 25)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    (tmp_path / "video.mp4.partial").symlink_to("/dev/full")
    with pytest.raises(VideoError, match=f"{path}: cannot be written"):
        write_video(path, numbered(30), 25)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(VideoError, match="No such file or directory"):
        write_video(tmp_path / "none" / "video.mp4", numbered(3), 25)


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(59.0, 101), (59.01, 50), (59.94, 50), (60.0, 50), (60.99, 50), (61.0, 101), (29.97, 101), (30.0, 101)],
)
def test_image_ids_count_twice_at_60_fps(fps: float, expected: int) -> None:
    assert frame_index(101, fps) == expected


def test_image_ids_share_frames_at_60_fps() -> None:
    assert [frame_index(image_id, 60.0) for image_id in range(6)] == [0, 0, 1, 1, 2, 2]
