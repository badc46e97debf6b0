"""Settings of the service: the section `serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from pydantic import Field

from cityscribe.predict.settings import Predicting
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.settings import Fraction, Positive, Rate, Section


class GuardSettings(Section):
    """What refuses requests before the model is asked."""

    encoder: str = Field("", description="folder or hub id of a text encoder, such as MiniLM; empty: no guard")
    threshold: Fraction = Field(0.5, description="probability from which a request is refused")
    examples: Path | None = Field(
        None, description="YAML file with requests under `harmful` and `harmless`; by default those of the probe safety"
    )


class ServeSettings(Section):
    """Of `cityscribe serve`: where it listens and what it takes. A request over a limit is refused, the rest go on."""

    host: str = Field("127.0.0.1", description="address to listen on; any but this machine's own needs a token")
    port: int = Field(8080, ge=0, lt=2**16, description="0 takes a free one")
    queue: Positive = Field(64, description="requests that are being received, decoded, waited for or answered")
    max_body_mb: Positive = Field(32, description="of a chat request")
    max_upload_mb: Positive = Field(256, description="of a clip to describe")
    max_images: Positive = Field(32, description="in a chat request, the frames of its videos counted")
    max_characters: Positive = Field(100_000, description="of the text of a chat request")
    video_frames: Positive = Field(8, description="evenly spread, that show a video of a chat request")
    max_megapixels: Rate = Field(40.0, description="of an image, or of a frame of a video")
    max_request_megapixels: Rate = Field(80.0, description="of all images and frames of a chat request together")
    max_duration_s: Rate = Field(300.0, description="of a video")
    max_frames: Positive = Field(20_000, description="of a video")
    max_tokens: Positive = Field(1024, description="of an answer")
    timeout_s: Rate = Field(120.0, description="for a request to be answered, and for the model to show life")
    max_connections: Positive = Field(256, description="open at once; further ones are closed")
    head_timeout_s: Rate = Field(10.0, description="for the head of a request to arrive")
    receive_timeout_s: Rate = Field(60.0, description="for the body of a request to arrive")
    send_timeout_s: Rate = Field(60.0, description="for which a client may not read the answer that is sent to it")
    decode_timeout_s: Rate = Field(30.0, description="for one file to be decoded")
    decode_memory_mb: Positive = Field(3072, description="address space of the process that decodes files")
    jobs: Positive = Field(32, description="clips that are being described or whose descriptions are kept")
    keep_s: Rate = Field(3600.0, description="how long descriptions are kept")
    guard: GuardSettings = GuardSettings()
    grace_s: Rate = Field(30.0, description="for what is under way to finish when the service is stopped")


class Serving(Predicting, Protocol):
    """What the service takes of the settings of a project."""

    @property
    def prepare(self) -> PrepareSettings: ...

    @property
    def serve(self) -> ServeSettings: ...
