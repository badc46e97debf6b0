"""What a media file is: its first bytes say it, not its name. Suffixes are for finding candidates only."""

from __future__ import annotations

from pathlib import Path

VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".flv", ".wmv", ".asf"),
    *(".3gp", ".3g2", ".ogv", ".vob", ".mxf", ".h264", ".264", ".h265", ".265", ".hevc", ".ivf", ".dav"),
)
"""Of files that a data set may mean by a name without a suffix, the commonest first."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".avif", ".heic", ".heif")
"""The same of images."""

HEAD_BYTES = 64
"""That are enough to tell what a file is."""

AVIF_BRANDS = frozenset({b"avif", b"avis"})
HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})

IMAGE_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
)

OTHER_SIGNATURES = (
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"%PDF", "PDF"),
    (b"DDS ", "DDS"),
    (b"BLP1", "BLP"),
    (b"BLP2", "BLP"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\1\0", "an icon"),
    (b"icns", "an icon"),
    (b"<svg", "SVG"),
    (b"<?xml", "XML"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"P1", "a portable bitmap"),
    (b"P2", "a portable bitmap"),
    (b"P3", "a portable bitmap"),
    (b"P4", "a portable bitmap"),
    (b"P5", "a portable bitmap"),
    (b"P6", "a portable bitmap"),
)
"""Formats that are not read, for messages that name them."""


def image_format(head: bytes) -> str:
    """The name of the image format of a file that begins so; empty where it is none that is read here."""
    for signature, name in IMAGE_SIGNATURES:
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        length = min(int.from_bytes(head[:4], "big"), len(head))
        brands = {head[place : place + 4] for place in (8, *range(16, length - 3, 4))}
        if head[8:12] in AVIF_BRANDS or (head[8:12] in (b"mif1", b"msf1") and brands & AVIF_BRANDS):
            return "AVIF"
        if head[8:12] in HEIC_BRANDS:
            return "HEIC"
    return ""


def is_image(path: Path) -> bool:
    """Whether a file is an image that is read here, or of a known format that is not. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return bool(image_format(head) or unread_format(head))


def unread_format(head: bytes) -> str:
    """The name of a known format that is not read, of a file that begins so; empty for any other."""
    return next((name for signature, name in OTHER_SIGNATURES if head.lstrip().startswith(signature)), "")
