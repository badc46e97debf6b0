"""The one reader of image files: as people see them, or refused by name.

What comes out is RGB, 8 bits a channel, for whatever is in the file:

- **Orientation**: turned and mirrored as its EXIF data says, as a phone shows it.
- **Transparency**: laid on white, the colour of the page that such pictures are made for.
- **Depth**: 16-bit grey is taken as black to white over its 16 bits. Integers that leave the upper half of these
  unused, and floating-point numbers, are measurements rather than shades (thermal, depth): 0 to 255 and 0.0 to 1.0 are
  taken for what they seem, anything else is stretched from its least to its greatest value.
- **Animation**: the first frame.
- Palettes and CMYK are converted to RGB. An image that is upright 8-bit RGB comes out with the bytes that it holds.

Only the formats of FORMATS are opened; no other decoder, and no program, ever sees the file.
"""

from __future__ import annotations

import base64
import io
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from cityscribe.files import InputError
from cityscribe.media.image_boxes import boxes_in, boxes_of, with_boxes
from cityscribe.media.kinds import HEAD_BYTES, image_format, unread_format

warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
"""Pillow warns of damaged EXIF data, of which only the orientation is used, with lines of its own code."""

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIC")
"""What is read; HEIC (of Apple's phones) with the extra `heic`."""

READABLE = "JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC"

BROKEN = (OSError, ValueError, SyntaxError, ArithmeticError, LookupError, TypeError, RuntimeError, struct.error)
"""What Pillow's plugins raise about a file that is not what it seems."""

BACKGROUND = (255, 255, 255)
"""Behind what is transparent."""

ORIENTATION = 0x0112
"""The EXIF tag; 5 to 8 exchange width and height."""

LONGEST_TO_SHORTEST = 200
"""A larger ratio of the sides is refused by the image processors of Qwen2-VL and its successors."""

ImageSource = Path | bytes


class ImageError(InputError):
    """An image cannot be read. The message names its file."""


def open_image(source: ImageSource, *, name: str = "", formats: tuple[str, ...] = FORMATS) -> Image.Image:
    """An image as RGB, upright. `name` stands for the file in messages where its bytes are given; `formats`: those of
    FORMATS to take. Raises ImageError where it is missing, torn, too large, no image, or of another format."""
    name = name or (str(source) if isinstance(source, Path) else "image")
    with _opened(source, name, formats) as image:
        try:
            return with_boxes(as_shown(image), boxes_in(image.info.get("comment")))
        except (*BROKEN, MemoryError) as error:
            raise ImageError(f"{name}: not a readable image: {_reason(error)}") from error


def as_shown(image: Image.Image) -> Image.Image:
    """An image of Pillow as RGB, upright. Raises what Pillow raises about a file that is damaged."""
    image.load()
    return with_boxes(_upright(_as_rgb(image), _orientation(image)), boxes_of(image))


def image_size(source: ImageSource, *, name: str = "") -> tuple[int, int]:
    """Width and height in pixels as shown, from the head of a file. Raises ImageError."""
    name = name or (str(source) if isinstance(source, Path) else "image")
    with _opened(source, name, FORMATS) as image:
        width, height = image.size
        # Pillow gives the size of a TIFF as shown.
        return (height, width) if image.format != "TIFF" and _orientation(image) >= 5 else (width, height)


def remark_on(path: Path) -> str:
    """What somebody should know of how an image is shown; empty where nothing is special. Raises ImageError.

    Only the head is read, but for images deeper than 8 bits.
    """
    with _opened(path, str(path), FORMATS) as image:
        if remark := remark_on_shape(*image.size):
            return remark
        if not _is_deep(image.mode):
            return ""
        try:
            values = np.asarray(image)
        except (*BROKEN, MemoryError) as error:
            raise ImageError(f"{path}: not a readable image: {_reason(error)}") from error
        low, high = _shown_range(values)
        kind = "floating-point numbers" if values.dtype.kind == "f" else f"{values.dtype.itemsize * 8}-bit grey"
        return f"holds {kind}: {low:g} is shown as black and {high:g} as white"


def remark_on_shape(width: int, height: int) -> str:
    """What somebody should know of the shape of an image; empty where nothing is special."""
    if max(width, height) <= LONGEST_TO_SHORTEST * min(width, height):
        return ""
    return (
        f"is {width}x{height} pixels: image processors of the Qwen-VL family refuse sides of more than "
        f"{LONGEST_TO_SHORTEST} to 1"
    )


def _opened(source: ImageSource, name: str, formats: tuple[str, ...]) -> Image.Image:
    """The image behind a source, its pixels not yet read. Raises ImageError."""
    if isinstance(source, Path) and source.exists() and not source.is_file():
        raise ImageError(f"{name}: cannot be opened: not a file")  # reading from a pipe would wait for ever
    try:
        head = source[:HEAD_BYTES] if isinstance(source, bytes) else _head(source)
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such image") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: cannot be opened: {_reason(error)}") from error
    found = image_format(head)
    if not found:
        known = unread_format(head)
        raise ImageError(f"{name}: is {known}, expected {READABLE}" if known else f"{name}: not an image")
    if found not in formats:
        raise ImageError(f"{name}: is {found}, expected {', '.join(formats)}")
    if found == "HEIC":
        _enable_heic(name)
    decoder = "HEIF" if found == "HEIC" else found  # as Pillow calls it
    try:
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=(decoder,))
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: not a readable image: {error}") from error
    except (*BROKEN, MemoryError) as error:
        unknown = isinstance(error, Image.UnidentifiedImageError)
        why = f"a {found} that is damaged or stored in a way that is not read" if unknown else _reason(error)
        raise ImageError(f"{name}: not a readable image: {why}") from error


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _enable_heic(name: str) -> None:
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise ImageError(f"{name}: is HEIC; install cityscribe[heic] to read it") from error
    register_heif_opener()


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where it says none that can be read."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except BROKEN:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes an image of each orientation upright."""


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def _as_rgb(image: Image.Image) -> Image.Image:
    if _is_deep(image.mode):
        return Image.fromarray(_shades(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        shown = image.convert("RGBA")
        background = Image.new("RGBA", shown.size, (*BACKGROUND, 255))
        return Image.alpha_composite(background, shown).convert("RGB")
    return image.convert("RGB")


def _is_deep(mode: str) -> bool:
    """Whether the pixels of a mode of Pillow are one number of more than 8 bits."""
    return mode in ("I", "F") or mode.startswith("I;")


def _shades(values: np.ndarray) -> np.ndarray:
    """Deep pixels [height, width] as shades of grey, uint8."""
    low, high = _shown_range(values)
    scaled = (np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low) - low) / ((high - low) or 1)
    return np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)


def _shown_range(values: np.ndarray) -> tuple[float, float]:
    """The values of deep pixels that are shown as black and as white."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if low >= 0 and values.dtype.kind == "f" and high <= 1:
        return 0.0, 1.0
    if low >= 0 and high <= 255:
        return 0.0, 255.0
    if low >= 0 and values.dtype.kind != "f" and 1 << 15 <= high < 1 << 16:
        return 0.0, 65535.0
    return low, high


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def is_plain(source: ImageSource, *, name: str = "") -> bool:
    """Whether every reader of a file sees what `open_image` gives: upright, 8 bits, opaque, in a format that browsers
    and servers know. Raises ImageError."""
    with _opened(source, name or str(source), FORMATS) as image:
        known = image.format in ("JPEG", "PNG", "WEBP", "GIF") and image.mode in ("RGB", "L", "P", "1")
        return known and not image.has_transparency_data and _orientation(image) == 1


def as_png(image: Image.Image) -> bytes:
    """An image as the bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def jpeg_url(image: Image.Image) -> str:
    """An image as a data URL for a page that loads nothing."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
