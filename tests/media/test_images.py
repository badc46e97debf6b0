"""Images come out as people see them, or are refused by name."""

from __future__ import annotations

import contextlib
import io
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from cityscribe.media.images import ImageError, as_png, image_size, is_plain, open_image, remark_on
from cityscribe.media.kinds import HEAD_BYTES, image_format

WIDTH, HEIGHT = 48, 32
ORIENTATIONS = range(1, 9)


def picture() -> Image.Image:
    """Four corners of different colours, so that each turn shows."""
    colours = np.array([[[220, 40, 30], [30, 160, 60]], [[40, 60, 220], [240, 220, 50]]], np.uint8)
    return Image.fromarray(np.kron(colours, np.ones((HEIGHT // 2, WIDTH // 2, 1), np.uint8)))


def with_orientation(orientation: int, format: str, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    picture().save(buffer, format=format, exif=exif, **options)
    return buffer.getvalue()


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_each_orientation_is_upright_and_its_size_known(format: str, orientation: int) -> None:
    content = with_orientation(orientation, format)
    exif = Image.Exif()
    exif[0x0112] = orientation
    flat = picture()
    flat.info["exif"] = exif.tobytes()
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(saved(picture(), "PNG", exif=exif))))
    shown = open_image(content)
    assert shown.mode == "RGB"
    assert shown.size == expected.size == image_size(content)
    difference = np.abs(np.asarray(shown).astype(int) - np.asarray(expected.convert("RGB")))
    assert np.median(difference) < 12
    assert difference.mean() < 20
    assert is_plain(content) == (orientation == 1 and format in ("JPEG", "PNG", "WEBP"))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
def test_upright_rgb_keeps_its_bytes(format: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.bin"
    path.write_bytes(saved(picture(), format))
    with Image.open(path) as image:
        assert open_image(path).tobytes() == image.convert("RGB").tobytes()
    assert remark_on(path) == ""


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_grey_and_palettes(mode: str) -> None:
    image = picture().convert(mode)
    assert open_image(saved(image, "PNG")).tobytes() == image.convert("RGB").tobytes()


def test_transparency_is_laid_on_white() -> None:
    rgba = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    rgba[..., 0] = 200
    rgba[:, : WIDTH // 3, 3] = 255
    rgba[:, WIDTH // 3 : 2 * WIDTH // 3, 3] = 128
    palette = Image.new("P", (WIDTH, HEIGHT), 0)
    palette.putpalette([10, 20, 30, 200, 0, 0])
    grey = Image.merge("LA", (Image.new("L", (4, 4), 30), Image.new("L", (4, 4), 0)))
    shown = np.asarray(open_image(saved(Image.fromarray(rgba), "PNG")))
    assert [tuple(shown[0, x]) for x in (0, WIDTH // 2, WIDTH - 1)] == [(200, 0, 0), (227, 127, 127), (255, 255, 255)]
    assert open_image(saved(palette, "PNG", transparency=0)).getpixel((0, 0)) == (255, 255, 255)
    assert open_image(saved(palette, "GIF", transparency=0)).getpixel((0, 0)) == (255, 255, 255)
    assert open_image(saved(grey, "PNG")).getpixel((0, 0)) == (255, 255, 255)
    assert open_image(saved(Image.new("RGB", (4, 4), (9, 8, 7)), "PNG", transparency=(9, 8, 7))).getpixel((0, 0)) == (
        255,
        255,
        255,
    )
    assert open_image(saved(Image.fromarray(rgba), "WEBP", lossless=True)).getpixel((WIDTH - 1, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("values", "black", "white"),
    [
        (np.linspace(0, 65535, 256).astype(np.uint16), 0, 65535),
        (np.linspace(30000, 40000, 256).astype(np.uint16), 0, 65535),  # uses the upper half
        (np.linspace(2000, 6000, 256).astype(np.uint16), 2000, 6000),  # thermal
        (np.arange(256).astype(np.uint16), 0, 255),
        (np.linspace(0, 1, 256).astype(np.float32), 0, 1),
        (np.linspace(0.2, 0.7, 256).astype(np.float32), 0, 1),
        (np.linspace(-40, 120, 256).astype(np.float32), -40, 120),
        (np.linspace(270, 320, 256).astype(np.float32), 270, 320),
        (np.linspace(-5, 70_000, 256).astype(np.int32), -5, 70_000),
    ],
)
def test_depth_is_shown_in_shades(values: np.ndarray, black: float, white: float, tmp_path: Path) -> None:
    image = Image.fromarray(np.repeat(values[None], 4, 0))
    expected = np.rint((values.astype(float) - black) / (white - black) * 255)
    for format in ("TIFF", "PNG") if values.dtype == np.uint16 else ("TIFF",):
        path = tmp_path / f"deep.{format.lower()}"
        path.write_bytes(saved(image, format))
        shown = np.asarray(open_image(path))
        assert np.abs(shown[0, :, 0] - expected).max() <= 1
        assert np.all(shown == shown[..., :1])
        assert f"{black:g} is shown as black and {white:g} as white" in remark_on(path)


def test_numbers_that_are_none_leave_the_others_alone() -> None:
    values = np.array([[np.nan, 10.0, np.inf, 400.0, -np.inf]], np.float32)
    shown = np.asarray(open_image(saved(Image.fromarray(values), "TIFF")))[0, :, 0]
    assert list(shown) == [0, 0, 255, 255, 0]


def test_cmyk_of_cameras_and_of_adobe() -> None:
    image = picture().convert("CMYK")
    shown = np.asarray(open_image(saved(image, "JPEG", quality=95))).astype(int)
    assert np.abs(shown - np.asarray(picture())).mean() < 6


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    for format in ("GIF", "WEBP", "PNG", "AVIF"):
        content = saved(frames[0], format, save_all=True, append_images=frames[1:])
        red, green, _ = open_image(content).getpixel((4, 4))
        assert red > 200 > 60 > green


def test_heic_and_what_is_said_without_its_extra(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    heif.from_pillow(picture()).save(buffer, quality=90)
    path = tmp_path / "phone.heic"
    path.write_bytes(buffer.getvalue())
    assert image_size(path) == (WIDTH, HEIGHT)
    assert np.abs(np.asarray(open_image(path)).astype(int) - np.asarray(picture())).mean() < 8
    code = (
        "import sys, pathlib; sys.modules['pillow_heif'] = None\n"
        "from cityscribe.media.images import open_image\n"
        f"open_image(pathlib.Path({str(path)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "phone.heic: is HEIC; install cityscribe[heic]" in done.stderr


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"DDS " + bytes(200), "DDS"),
        (b"BLP2" + bytes(200), "BLP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "PostScript"),
        (b"8BPS" + bytes(100), "Photoshop"),
        (b"P6 1 1 255\n\0\0\0", "portable"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"some text", "not an image"),
        (b"", "not an image"),
    ],
)
def test_other_formats_are_refused_by_name(content: bytes, named: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    for read in (open_image, image_size, remark_on):
        with pytest.raises(ImageError, match=f"{path}: .*{named}"):
            read(path)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for read in (open_image, image_size, remark_on):
        with pytest.raises(ImageError, match=r"pipe\.png: cannot be opened: not a file"):
            read(tmp_path / "pipe.png")


def test_no_program_is_run_for_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostScript is what Pillow hands to Ghostscript; here a program of that name would leave a trace."""
    trace = tmp_path / "trace"
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {trace}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    head = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
    for start in (b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0"):
        path = tmp_path / "picture.jpg"
        path.write_bytes(start + head)
        with pytest.raises(ImageError):
            open_image(path)
    assert not trace.exists()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIC"])
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_damage_never_ends_in_another_error(format: str, seed: int) -> None:
    if format == "HEIC":
        heif = pytest.importorskip("pillow_heif")
        buffer = io.BytesIO()
        heif.from_pillow(picture()).save(buffer, quality=50)
        content = bytearray(buffer.getvalue())
    else:
        content = bytearray(saved(picture(), format))
    rng = random.Random(seed)
    for _ in range(rng.randrange(1, 20)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    if rng.random() < 0.3:
        del content[rng.randrange(len(content)) :]
    for read in (open_image, image_size):
        with contextlib.suppress(ImageError):
            read(bytes(content), name="damaged.bin")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such image"):
        open_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="cannot be opened"):
        open_image(tmp_path)


def test_extreme_shapes_are_remarked_on(tmp_path: Path) -> None:
    path = tmp_path / "strip.png"
    Image.new("RGB", (1000, 4)).save(path)
    assert "1000x4 pixels" in remark_on(path)
    Image.new("RGB", (800, 4)).save(path)
    assert remark_on(path) == ""


def test_a_png_of_ours_is_the_picture() -> None:
    assert open_image(as_png(picture())).tobytes() == picture().tobytes()
    assert image_format(as_png(picture())[:HEAD_BYTES]) == "PNG"
