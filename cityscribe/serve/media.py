"""Files that come inside a request: what they are is told by their first bytes, not by what the client calls them."""

from __future__ import annotations

import base64
import binascii
from typing import Literal

from cityscribe.serve.refusal import Refusal

IMAGES = "JPEG, PNG, WebP or GIF"
VIDEOS = "MP4, MOV, WebM, Matroska or AVI"

MediaKind = Literal["image", "video"]


def kind_of(head: bytes) -> MediaKind | None:
    """Image or video by the first 16 bytes of a file, None for all that is not read here.

    Formats that name other files (playlists, concatenations) are among those: a decoder would open what they name.
    """
    if head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")):
        return "image"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip") or head.startswith(b"\x1aE\xdf\xa3"):
        return "video"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "video"
    return None


def from_data_url(url: str, kind: MediaKind, param: str) -> bytes:
    """The bytes of a data URL (RFC 2397, base64) of an image or a video.

    Raises Refusal: 422 for any other URL, since nothing is ever fetched, and for broken base64; 415 for content of
    another kind.
    """
    scheme, _, rest = url.partition(":")
    if scheme.lower() != "data":
        raise Refusal(422, "remote_url", "no URL is fetched here: send the file itself as a data: URL", param=param)
    head, comma, payload = rest.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise Refusal(422, "bad_data_url", "expected data:TYPE;base64,DATA", param=param)
    try:
        content = base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(422, "bad_data_url", "what follows `base64,` is not base64", param=param) from error
    check_kind(content[:16], kind, param)
    return content


def check_kind(head: bytes, kind: MediaKind, param: str) -> None:
    """Raises Refusal (415) where a file that begins so is not of a kind."""
    if kind_of(head) != kind:
        expected = IMAGES if kind == "image" else VIDEOS
        raise Refusal(415, "unsupported_media", f"this is not {expected}", param=param)
