"""What a conversation shows, read from its files, and videos for models that see images only or videos too.

The n-th image block shows the n-th image of the sample, a video block the stretch that it names. A model with a video
path gets a video as such; another one gets its frames as images, each behind its time unless the block says `times:
false`: `0.5 s: <image>`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from cityscribe.files import InputError
from cityscribe.media.clips import Clip, read_clip
from cityscribe.media.images import open_image
from cityscribe.media.thumbnail import equidistant, thumbnail
from cityscribe.records import (
    MEDIA_BLOCKS,
    MessageBlock,
    Messages,
    SampleMessage,
    image_block,
    media_blocks,
    text_block,
    video_of,
)

Media = Image.Image | Clip
"""What one image block or one video block shows."""


def without_media(messages: Messages) -> list[SampleMessage]:
    """A conversation as a blind model is asked."""
    return [
        {**message, "content": [block for block in message["content"] if block["type"] not in MEDIA_BLOCKS]}
        for message in messages
    ]


def read_media(name: str, messages: Messages, images: Sequence[str | Path], root: Path) -> list[Media]:
    """What the image and video blocks of a conversation show, in their order.

    Files are named relative to `root`. Raises InputError with the file that cannot be read and the name of the
    conversation; and where it has another number of image blocks.
    """
    blocks = media_blocks(messages)
    count = sum(block["type"] == "image" for block in blocks)
    if count != len(images):
        raise InputError(f"{name}: has {count} image blocks and {len(images)} images")
    remaining = iter(images)
    shown: list[Media] = []
    try:
        for block in blocks:
            if block["type"] == "image":
                shown.append(open_image(root / next(remaining)))
            else:
                video = video_of(block)
                shown.append(read_clip(root / video.file, video))
    except InputError as error:
        raise InputError(f"{error} ({name})") from error
    return shown


def as_images(
    name: str, messages: Messages, media: Sequence[Media], strip_of: Callable[..., Image.Image] | None = None
) -> tuple[list[SampleMessage], list[Image.Image]]:
    """A conversation in which videos are written as images with their times, and all its images in their order.

    For a model that joins the frames of a video, `strip_of` makes one image of them.

    Raises InputError where there is not one of `media` for each block, or one is of another kind than its block.
    """
    images: list[Image.Image] = []
    remaining = iter(_fitting(name, messages, media))
    written: list[SampleMessage] = []
    for message in messages:
        content: list[MessageBlock] = []
        for block in message["content"]:
            item = next(remaining) if block["type"] in MEDIA_BLOCKS else None
            if isinstance(item, Clip) and (cells := block.get("grid")):
                chosen = equidistant(len(item.frames), cells)
                times = ", ".join(f"{item.times_s[n]:.1f} s" for n in chosen)
                content += [text_block(f"{times}: ")] if block.get("times", True) else []
                content.append(image_block())
                images.append(thumbnail([item.frames[n] for n in chosen]))
            elif isinstance(item, Clip) and strip_of is not None:
                seconds = f"{item.times_s[0]:.1f} s to {item.times_s[-1]:.1f} s: "
                content += [text_block(seconds)] if block.get("times", True) else []
                content.append(image_block())
                images.append(strip_of(item.frames))
            elif isinstance(item, Clip):
                for frame, time_s in zip(item.frames, item.times_s, strict=True):
                    content += [text_block(f"{time_s:.1f} s: ")] if block.get("times", True) else []
                    content.append(image_block())
                    images.append(frame)
            elif item is None:
                content.append(block)
            else:
                content.append(image_block())
                images.append(item)
        written.append({**message, "content": content})
    return written, images


def as_videos(name: str, messages: Messages, media: Sequence[Media]) -> tuple[list[SampleMessage], list[Media]]:
    """A conversation in which images and videos stay what they are, and all of them in their order. Raises InputError
    as `as_images` does."""
    shown = _fitting(name, messages, media)
    return [
        {
            **message,
            "content": [
                {"type": block["type"]} if block["type"] in MEDIA_BLOCKS else block for block in message["content"]
            ],
        }
        for message in messages
    ], shown


def _fitting(name: str, messages: Messages, media: Sequence[Media]) -> list[Media]:
    """The media, one for each block and of its kind."""
    blocks = media_blocks(messages)
    if len(blocks) != len(media):
        kinds = "image blocks" if all(block["type"] == "image" for block in blocks) else "image and video blocks"
        raise InputError(f"{name}: has {len(blocks)} {kinds} and {len(media)} images")
    for block, item in zip(blocks, media, strict=True):
        if isinstance(item, Clip) is not (block["type"] == "video"):
            raise InputError(f"{name}: a block of type {block['type']} is given a {type(item).__name__}")
    return list(media)
