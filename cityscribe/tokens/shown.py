"""What a conversation shows, read from its files, and videos for models that see images only.

The n-th image block shows the n-th image of the sample, a video block the stretch that it names. A model without a
video path gets the frames of a video as images, each behind its time: `0.5 s: <image>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from cityscribe.files import InputError
from cityscribe.media.clips import Clip, read_clip
from cityscribe.media.images import open_image
from cityscribe.records import MessageBlock, SampleMessage, image_block, text_block, video_of

Messages = Sequence[SampleMessage]

Media = Image.Image | Clip
"""What one image block or one video block shows."""

MEDIA_BLOCKS = ("image", "video")


def media_blocks(messages: Messages) -> list[MessageBlock]:
    """The image and video blocks of a conversation, in their order."""
    return [block for message in messages for block in message["content"] if block["type"] in MEDIA_BLOCKS]


def without_media(messages: Messages) -> list[SampleMessage]:
    """A conversation as a blind model is asked."""
    return [
        {**message, "content": [block for block in message["content"] if block["type"] not in MEDIA_BLOCKS]}
        for message in messages
    ]


def placed(messages: Messages, root: Path) -> list[SampleMessage]:
    """A conversation whose videos, named relative to `root`, are named by their whole paths."""
    return [
        {
            **message,
            "content": [
                {**block, "video": str(root / block["video"])} if block["type"] == "video" else block
                for block in message["content"]
            ],
        }
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


def as_images(name: str, messages: Messages, media: Sequence[Media]) -> tuple[list[SampleMessage], list[Image.Image]]:
    """A conversation in which videos are written as images with their times, and all its images in their order.

    Raises InputError where there is not one of `media` for each block, or one is of another kind than its block.
    """
    blocks = media_blocks(messages)
    if len(blocks) != len(media):
        kinds = "image blocks" if all(block["type"] == "image" for block in blocks) else "image and video blocks"
        raise InputError(f"{name}: has {len(blocks)} {kinds} and {len(media)} images")
    remaining = iter(media)
    images: list[Image.Image] = []
    written: list[SampleMessage] = []
    for message in messages:
        content: list[MessageBlock] = []
        for block in message["content"]:
            if block["type"] not in MEDIA_BLOCKS:
                content.append(block)
                continue
            item = next(remaining)
            if isinstance(item, Clip) is not (block["type"] == "video"):
                raise InputError(f"{name}: a block of type {block['type']} is given a {type(item).__name__}")
            if isinstance(item, Clip):
                for frame, time_s in zip(item.frames, item.times_s, strict=True):
                    content += [text_block(f"{time_s:.1f} s: "), image_block()]
                    images.append(frame)
            else:
                content.append(image_block())
                images.append(item)
        written.append({**message, "content": content})
    return written, images
