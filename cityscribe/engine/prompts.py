"""Requests as prompts: tokens and media as the model sees each alone. One that cannot be shown to it fails alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.engine.failure import Failure, failure_of
from cityscribe.engine.request import Request
from cityscribe.files import InputError
from cityscribe.media.clips import read_clip
from cityscribe.media.images import as_shown, open_image
from cityscribe.records import media_blocks, text_of, video_of
from cityscribe.tokens.encode import Encoded, Encoder
from cityscribe.tokens.shown import Media


def read_prompts(
    model: PreTrainedModel, processor: ProcessorMixin, requests: Sequence[Request]
) -> list[Encoded | Failure]:
    """Open the media of requests and tokenise their messages. Each file is opened once, each set of media preprocessed
    once. What is wrong with a request (a file that is no image, one that the processor refuses, a template that raises)
    is its Failure."""
    encoder = Encoder(model, processor)
    opened: dict[object, Media] = {}
    prompts: list[Encoded | Failure] = []
    for request in requests:
        try:
            prompts.append(encoder.ask(name_of(request), request.messages, open_media(request, opened)))
        except Exception as error:
            prompts.append(failure_of(error))
    return prompts


def name_of(request: Request) -> str:
    """The last message, as messages for people name a request."""
    return f"`{text_of(request.messages[-1])}`"


def open_media(request: Request, opened: dict[object, Media]) -> list[Media]:
    """What the image and video blocks of a request show, in their order; `opened` is read and added to.

    Raises InputError for a file that cannot be read, and where there is another number of images than of image blocks.
    """
    blocks = media_blocks(request.messages)
    count = sum(block["type"] == "image" for block in blocks)
    if count != len(request.media):
        raise InputError(f"{name_of(request)}: has {count} image blocks and {len(request.media)} images")
    remaining = iter(request.media)
    shown: list[Media] = []
    for block in blocks:
        if block["type"] == "video":
            key: object = repr(block)
            if key not in opened:
                opened[key] = read_clip(Path(video_of(block).file), video_of(block))
        else:
            medium = next(remaining)
            # Images in memory are told apart by what they are, not by what they show: that the encoder does.
            key = medium if isinstance(medium, Path) else id(medium)
            if key not in opened:
                opened[key] = open_image(medium) if isinstance(medium, Path) else as_shown(medium)
        shown.append(opened[key])
    return shown
