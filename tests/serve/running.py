"""A real service in a process of its own, with a tiny model and tight limits."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
from PIL import Image

from cityscribe.media.video import write_video
from tests.media.numbered_video import numbered_frame
from tests.preloaded import preloaded_python

TIGHT = {
    "predict.precision": "fp32",
    "predict.max_new_tokens": "12",
    "predict.drafts": "false",
    "serve.port": "0",
    "serve.max_body_mb": "1",
    "serve.max_upload_mb": "1",
    "serve.max_duration_s": "5",
    "serve.max_frames": "200",
    "serve.max_megapixels": "0.3",
    "serve.max_request_megapixels": "1.0",
    "serve.max_characters": "2000",
    "serve.max_images": "4",
    "serve.video_frames": "3",
    "serve.max_tokens": "2040",
    "serve.receive_timeout_s": "2",
    "serve.timeout_s": "60",
    "serve.queue": "12",
    "serve.grace_s": "20",
}


@dataclass(slots=True)
class Running:
    """A service, where it listens and what it logs."""

    process: subprocess.Popen[str]
    address: str
    name: str
    log_file: Path

    @property
    def http(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.address, timeout=60)

    @property
    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.address}/v1", api_key="none", max_retries=0, timeout=60)

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_file.read_text().splitlines()]

    def kill_model(self) -> None:
        os.kill([line["pid"] for line in self.log() if line["event"] == "model-ready"][-1], signal.SIGKILL)

    def wait_ready(self, least_starts: int = 1) -> None:
        for _ in range(3000):  # a busy machine is not a failure
            starts = sum(line["event"] == "model-ready" for line in self.log())
            if starts >= least_starts and self.http.get("/readyz").status_code == 200:
                return
            assert self.process.poll() is None, self.log_file.read_text()
            time.sleep(0.1)
        raise AssertionError("the service did not become ready")


@contextmanager
def running(checkpoint: Path, folder: Path, **changed: str) -> Iterator[Running]:
    """A service for a checkpoint that takes requests; the model is still being loaded."""
    settings = TIGHT | {f"serve.{name}": value for name, value in changed.items()}
    options = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    command = [preloaded_python(), "-m", "cityscribe", "serve", str(checkpoint), *options]
    log_file = folder / "log.jsonl"
    environment = os.environ | {"TMPDIR": str(folder)}
    with (
        log_file.open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as process,
    ):
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, log_file.read_text()
        try:
            yield Running(process, address, checkpoint.name, log_file)
        finally:
            process.kill()


def picture(seed: int = 0, size: tuple[int, int] = (40, 32)) -> Image.Image:
    return Image.effect_mandelbrot(size, (-2.0 + seed / 50, -1.5, 1.0, 1.5), 60).convert("RGB")


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


def clip(folder: Path, frames: int = 20, fps: int = 10) -> bytes:
    path = folder / "clip.mp4"
    write_video(path, (numbered_frame(n) for n in range(frames)), fps)
    return path.read_bytes()


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def image_part(content: bytes) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_url(content)}}


def video_part(content: bytes) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": data_url(content, "video/mp4")}}


def user(*parts: str | dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": p} if isinstance(p, str) else p for p in parts]}
