"""The images and videos of a chat request: received and measured by their heads first, decoded when all of it fits.

How large a picture is, and how many frames of a clip are shown, costs little to know. So a request that is over a limit
of pixels, or of the model's context, is refused before anything of it is decoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cityscribe.serve.chat_request import ChatRequest, ImagePart, VideoPart
from cityscribe.serve.decoder import Decoder
from cityscribe.serve.decoding import decode_frames, decode_image, measure_frames, measure_image
from cityscribe.serve.media import from_data_url
from cityscribe.serve.refusal import Refusal
from cityscribe.serve.settings import ServeSettings


@dataclass(slots=True)
class Medium:
    """An image or a video of a request, whose file lies in the request's folder."""

    param: str  # where in the request it stands
    source: Path
    is_image: bool
    images: int = 1  # that show it
    size: tuple[int, int] = (0, 0)  # width and height of each in pixels


async def receive(body: ChatRequest, folder: Path, decoder: Decoder, limits: ServeSettings) -> list[Medium]:
    """The images and videos of a request in their order, written into its folder and measured.

    Raises Refusal: 415 for what is none, 422 for what is broken, and for too many images or pixels.
    """
    media: list[Medium] = []
    images, left_pixels = 0, limits.max_request_megapixels * 1e6
    for n, entry in enumerate(body.messages):
        for m, part in enumerate(entry.content if isinstance(entry.content, list) else ()):
            if not isinstance(part, ImagePart | VideoPart):
                continue
            medium = await receive_part(part, f"messages[{n}].content[{m}]", folder / f"{len(media)}.in")
            await measure(medium, decoder, limits)
            images += medium.images
            left_pixels -= medium.images * medium.size[0] * medium.size[1]
            if images > limits.max_images:
                words = f"up to {limits.max_images} images and frames are taken in a request"
                raise Refusal(422, "too_many_images", words, param=medium.param)
            if left_pixels < 0:
                words = "the images of the request have more pixels together than are taken"
                raise Refusal(422, "too_many_pixels", words, param=medium.param)
            media.append(medium)
    return media


async def receive_part(part: ImagePart | VideoPart, place: str, source: Path) -> Medium:
    """Write what a part of a message holds into a file. Raises Refusal (415, 422)."""
    is_image = isinstance(part, ImagePart)
    url = part.image_url.url if isinstance(part, ImagePart) else part.video_url.url
    param = f"{place}.image_url" if is_image else f"{place}.video_url"
    content = await asyncio.to_thread(from_data_url, url, "image" if is_image else "video", param)
    await asyncio.to_thread(source.write_bytes, content)
    return Medium(param, source, is_image)


async def measure(medium: Medium, decoder: Decoder, limits: ServeSettings) -> None:
    """Fill in by how many images a medium is shown, and their size. Raises Refusal (422)."""
    try:
        if medium.is_image:
            medium.size = await decoder.run(measure_image, medium.source, decoder.limits)
        else:
            medium.images, medium.size = await decoder.run(
                measure_frames, medium.source, limits.video_frames, decoder.limits
            )
    except Refusal as refusal:
        refusal.param = medium.param
        raise


async def decode(media: Sequence[Medium], folder: Path, decoder: Decoder, limits: ServeSettings) -> list[Path]:
    """The images of all media, as files in the request's folder; what was received is removed. Raises Refusal (422)."""
    images: list[Path] = []
    for number, medium in enumerate(media):
        shown = folder / str(number)
        try:
            if medium.is_image:
                await decoder.run(decode_image, medium.source, shown, decoder.limits)
                images.append(shown)
            else:
                await asyncio.to_thread(shown.mkdir)
                images += await decoder.run(decode_frames, medium.source, shown, limits.video_frames, decoder.limits)
        except Refusal as refusal:
            refusal.param = medium.param
            raise
        finally:
            medium.source.unlink(missing_ok=True)
    return images
