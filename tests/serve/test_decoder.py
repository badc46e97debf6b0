"""Files from outside cannot take the service down: broken, slow or deadly ones are refused, the next one is read."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cityscribe.serve.chat_media import decode, receive
from cityscribe.serve.chat_request import ChatRequest
from cityscribe.serve.decoder import Decoder
from cityscribe.serve.decoding import decode_frames, decode_image, measure_frames
from cityscribe.serve.metrics import ServiceMetrics
from cityscribe.serve.refusal import Refusal
from cityscribe.serve.settings import ServeSettings
from tests.media.numbered_video import number_of
from tests.serve.running import clip, data_url, encoded, picture


def sleep_long() -> None:
    time.sleep(60)


def end_the_process() -> None:
    os.abort()


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill_the_disk() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def take_memory() -> int:
    return len(bytearray(8 << 30))


def with_decoder(work: Callable[[Decoder], Any], **settings: Any) -> Any:
    async def run() -> Any:
        decoder = Decoder(ServeSettings(**settings), ServiceMetrics())
        try:
            return await work(decoder)
        finally:
            await decoder.stop()

    return asyncio.run(run())


def code_of(refused: Any) -> str:
    return str(refused.code) if isinstance(refused, Refusal) else "read"


def test_what_takes_too_long_is_refused_and_ended() -> None:
    async def work(decoder: Decoder) -> Any:
        await decoder.start()
        return await asyncio.gather(decoder.run(sleep_long), return_exceptions=True)

    assert code_of(with_decoder(work, decode_timeout_s=0.5)[0]) == "decode_time"


def test_what_takes_too_much_or_dies_is_refused_and_the_next_file_is_read(tmp_path: Path) -> None:
    async def work(decoder: Decoder) -> list[str]:
        source = tmp_path / "in"
        source.write_bytes(encoded(picture()))
        image = (decode_image, source, tmp_path / "out.png", decoder.limits)
        tasks: list[tuple[Any, ...]] = [(end_the_process,), image, (take_memory,), image]
        codes = []
        for task in tasks:
            codes += [code_of(each) for each in await asyncio.gather(decoder.run(*task), return_exceptions=True)]
        waiting = asyncio.create_task(decoder.run(sleep_long))
        await asyncio.sleep(0.05)
        waiting.cancel()
        return [*codes, code_of(await decoder.run(*image))]

    assert with_decoder(work) == ["undecodable", "read", "decode_memory", "read", "read"]


def test_who_is_not_to_blame_is_told_to_come_again(tmp_path: Path) -> None:
    async def work(decoder: Decoder) -> list[Any]:
        return [
            (await asyncio.gather(decoder.run(task), return_exceptions=True))[0] for task in (be_killed, fill_the_disk)
        ]

    killed, full = with_decoder(work)
    assert (killed.status, killed.code) == (503, "interrupted")
    assert (full.status, full.code) == (507, "disk_full")


def test_one_frame_of_a_clip_is_a_frame_of_a_clip(tmp_path: Path) -> None:
    """With `serve.video_frames: 1` a clip is still decoded as one, and a picture is still none."""
    video = data_url(clip(tmp_path), "video/mp4")

    async def shown(decoder: Decoder, url: str) -> list[Path]:
        limits = ServeSettings(video_frames=1)
        asked = {"role": "user", "content": [{"type": "video_url", "video_url": {"url": url}}]}
        body = ChatRequest.model_validate({"model": "m", "messages": [asked]})
        media = await receive(body, tmp_path, decoder, limits)
        assert [(medium.images, medium.size) for medium in media] == [(1, (112, 48))]
        return await decode(media, tmp_path, decoder, limits)

    async def work(decoder: Decoder) -> list[Any]:
        urls = (video, data_url(encoded(picture())))
        return [(await asyncio.gather(shown(decoder, url), return_exceptions=True))[0] for url in urls]

    frames, refused = with_decoder(work)
    assert [number_of(np.array(Image.open(path))) for path in frames] == [10]
    assert (refused.status, refused.code) == (415, "unsupported_media")


def test_an_upright_image_keeps_its_pixels_and_a_turned_one_is_turned(tmp_path: Path) -> None:
    async def work(decoder: Decoder) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        picture().save(tmp_path / "turned.png", exif=exif)
        picture().save(tmp_path / "upright.png")
        for name in ("turned", "upright"):
            await decoder.run(decode_image, tmp_path / f"{name}.png", tmp_path / f"{name}.out", decoder.limits)

    with_decoder(work)
    upright, turned = (np.array(Image.open(tmp_path / f"{name}.out")) for name in ("upright", "turned"))
    assert np.array_equal(upright, np.array(picture()))
    assert np.array_equal(turned, np.rot90(upright, -1))


def test_frames_are_the_middles_of_equal_parts(tmp_path: Path) -> None:
    clip(tmp_path, frames=20)

    async def work(decoder: Decoder) -> list[Path]:
        clip_file = tmp_path / "clip.mp4"
        count, size = await decoder.run(measure_frames, clip_file, 4, decoder.limits)
        paths: list[Path] = await decoder.run(decode_frames, clip_file, tmp_path, 4, decoder.limits)
        assert [Image.open(path).size for path in paths] == [size] * count
        return paths

    assert [number_of(np.array(Image.open(path))) for path in with_decoder(work)] == [2, 7, 12, 17]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "MP4"])
def test_mutated_files_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    content = clip(tmp_path) if kind == "MP4" else encoded(picture(), kind)
    draw = random.Random(kind)

    async def work(decoder: Decoder) -> list[int]:
        found = []
        for number in range(12):
            source = tmp_path / f"{number}.in"
            source.write_bytes(mutated(content, draw))
            task = (decode_frames, source, tmp_path, 3) if kind == "MP4" else (decode_image, source, tmp_path / "o.png")
            [result] = await asyncio.gather(decoder.run(*task, decoder.limits), return_exceptions=True)
            found.append(result.status if isinstance(result, Refusal) else 200)
        return found

    assert set(with_decoder(work)) <= {200, 422}


def mutated(content: bytes, draw: random.Random) -> bytes:
    """A file with some of its bytes changed behind its first 16, or cut short, or with a piece of it repeated."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 8, 64))):
        changed[draw.randrange(16, len(changed))] = draw.randrange(256)
    if draw.random() < 0.3:
        del changed[draw.randrange(16, len(changed)) :]
    elif draw.random() < 0.3:
        start = draw.randrange(16, len(changed))
        changed[start:start] = changed[start : start + draw.randrange(1, 500)]
    return bytes(changed)
