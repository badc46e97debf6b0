"""Data sets of conversations whose images and videos are of every kind: what is said of them, and what is prepared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from cityscribe.media.images import open_image
from cityscribe.media.video import probe
from cityscribe.prepare.conversations import prepare_conversations
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.records import Problem, read_samples
from cityscribe.sources import SOURCES
from cityscribe.sources.check import check_samples
from tests.media.test_containers import CODECS, COUNT, ts_packets, write


def data_set(root: Path, images: list[str], videos: list[str]) -> None:
    rows = [
        {
            "id": name,
            kind: name,
            "conversations": [
                {"from": "human", "value": f"<{kind}>\nWhat is it?"},
                {"from": "gpt", "value": f"It is {name}."},
            ],
        }
        for kind, names in (("image", images), ("video", videos))
        for name in names
    ]
    (root / "train.json").write_text(json.dumps(rows))


def problems_of(root: Path) -> dict[str, tuple[str, str]]:
    problems = check_samples(lambda folder: SOURCES["llava"].read(folder), root)
    return {problem.file: (problem.level, problem.message) for problem in problems}


def prepared(root: Path, **settings: int) -> dict[str, list[Path]]:
    samples, _ = SOURCES["llava"].read(root)
    out = root.with_name(f"{root.name}-out")
    prepare_conversations(samples, root, PrepareSettings(**settings), out)
    return {
        sample.meta.scenario: [out / image for image in sample.images] for sample in read_samples(out / "train.parquet")
    }


def test_a_file_is_asked_what_it_is_and_not_its_name(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    videos = []
    for suffix in ("mp4", "m4v", "mpg", "ts", "flv", "mkv"):
        write(root / f"clip.{suffix}", "mpeg2video" if suffix == "mpg" else "libx264", *CODECS["mpeg2video"][:1], {})
        videos.append(f"clip.{suffix}")
    (root / "clip.bin").write_bytes((root / "clip.mp4").read_bytes())
    (root / "film.jpg").write_bytes((root / "clip.mp4").read_bytes())
    Image.new("RGB", (32, 32)).save(root / "picture.mp4", format="PNG")
    data_set(root, ["film.jpg", "picture.mp4"], [*videos, "clip.bin"])
    assert problems_of(root) == {"film.jpg": ("error", "not an image")}
    shown = prepared(root)
    assert len(shown) == len(videos) + 2


def test_what_is_lost_of_a_video_is_said_and_the_rest_is_used(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    write(root / "clip.ts", "libx264", *CODECS["libx264"])
    packets = ts_packets((root / "clip.ts").read_bytes())
    (root / "clip.ts").write_bytes(b"".join(packets[:28] + packets[30:]))
    data_set(root, [], ["clip.ts"])
    assert probe(root / "clip.ts").frames == COUNT
    level, message = problems_of(root)["clip.ts"]
    assert level == "warning"
    assert "cannot be read: something is missing or damaged there" in message
    prepared(root)
    skipped = (root.with_name("data-out") / "skipped.jsonl").read_text()
    assert f"clip.ts: {message}" in skipped


def test_no_two_images_share_a_name(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    names = ["x.png", "x.png.jpg", "y.jpg", "y.jpg.jpg", "x.png.jpg.png"]
    for number, name in enumerate(names):
        Image.new("RGB", (300, 200), (50 * number, 200, 0)).save(root / name)
    data_set(root, names, [])
    for size in (0, 64):
        shown = prepared(root, image_size=size)
        assert len({path for (path,) in shown.values()}) == len(names)
        for number, name in enumerate(names):
            colour = np.asarray(open_image(shown[name][0]))[5, 5].astype(int)
            assert np.abs(colour - (50 * number, 200, 0)).max() < 8


def test_deep_turned_and_strange_images_are_said_or_shown_upright(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (96, 64)).save(root / "phone.jpg", exif=exif)
    Image.fromarray(np.linspace(2000, 6000, 64 * 64).astype(np.uint16).reshape(64, 64)).save(root / "thermal.png")
    Image.new("RGB", (1000, 4)).save(root / "strip.png")
    (root / "eps.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    data_set(root, ["phone.jpg", "thermal.png", "strip.png", "eps.jpg"], [])
    problems = problems_of(root)
    assert {name: level for name, (level, _) in problems.items()} == {
        "thermal.png": "warning",
        "strip.png": "warning",
        "eps.jpg": "error",
    }
    for size in (0, 48):
        shown = prepared(root, image_size=size)
        assert set(shown) == {"phone.jpg", "thermal.png", "strip.png"}
        width, height = open_image(shown["phone.jpg"][0]).size
        assert height > width
        assert np.asarray(open_image(shown["thermal.png"][0])).std() > 60


def test_an_image_of_an_extreme_shape_is_named_with_its_samples_and_kept(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    for name, size in {"wide.png": (1000, 4), "usual.png": (40, 30)}.items():
        Image.new("RGB", size).save(root / name)
    data_set(root, ["wide.png", "usual.png"], [])
    samples, _ = SOURCES["llava"].read(root)
    again = [replace(sample, meta=replace(sample.meta, scenario=f"{sample.meta.scenario}-b")) for sample in samples]
    problems: list[Problem] = []
    prepare_conversations([*samples, *again], root, PrepareSettings(), tmp_path / "out", problems=problems)
    (found,) = problems
    assert str(found).startswith("warning: wide.png: sample wide.png: is 1000x4 pixels: ")
    assert str(found).endswith("; shown by 2 samples")
    assert len(read_samples(tmp_path / "out" / "train.parquet")) == 4
