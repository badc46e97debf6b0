"""Training frames that are changed at random: nothing at strength 0, the same by the seed, and never in validation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cityscribe.prepare.conversations import prepare_conversations
from cityscribe.prepare.keyframe import KeyFrame
from cityscribe.prepare.pictures import picture_video, render, render_noted
from cityscribe.prepare.randomise import randomised
from cityscribe.prepare.registries import RANDOMISERS
from cityscribe.prepare.settings import PrepareSettings, RandomiseSettings
from cityscribe.records import Sample, image_block, message, read_samples, text_block
from cityscribe.traffic.meta import TrafficMeta
from tests.prepare.made import make_video, settings, view
from tests.prepare.test_pictures import job, ramp


@pytest.mark.parametrize("kind", RANDOMISERS.names())
def test_each_change_keeps_the_shape_grows_with_its_strength_and_follows_the_seed(kind: str) -> None:
    pixels = ramp(96, 72).astype(np.float32) / 255
    away = []
    for strength in (1, 5):
        found = [RANDOMISERS[kind](pixels.copy(), strength, np.random.default_rng(n)) for n in (0, 0, 1, 2, 3)]
        assert all(each.shape == pixels.shape and np.isfinite(each).all() for each in found)
        assert (found[0] == found[1]).all()
        away.append(np.mean([np.abs(np.clip(each, 0, 1) - pixels).mean() for each in found]))
    assert 0 < away[0] < away[1]


def test_a_share_of_the_frames_is_changed_and_at_strength_0_none() -> None:
    frame = ramp()
    always = RandomiseSettings(strength=3, share=1.0)
    assert randomised(frame, "s/v/7", RandomiseSettings()) is frame
    assert all(randomised(frame, f"s/v/{n}", replace_share(always, 0.0)) is frame for n in range(20))
    half = [randomised(frame, f"s/v/{n}", replace_share(always, 0.5)) is frame for n in range(200)]
    assert 70 < sum(half) < 130
    first, again = (randomised(frame, "s/v/7", always) for _ in range(2))
    assert (first == again).all()
    assert (first != frame).any()
    assert (randomised(frame, "s/v/7", always.model_copy(update={"seed": 1})) != first).any()


def replace_share(settings: RandomiseSettings, share: float) -> RandomiseSettings:
    return settings.model_copy(update={"share": share})


def test_boxes_keep_their_colour_and_views_of_a_frame_agree() -> None:
    key = KeyFrame(0, {"pedestrian": (50, 40, 10, 10), "vehicle": (80, 50, 20, 10)})
    changed = settings(line_width=1, randomise={"strength": 5, "share": 1.0, "kinds": ["palette"]}).prepare
    (local, _), (whole, _) = render_noted(ramp(), key, changed, "s/v/0")
    assert (local == whole[34:66, 36:115]).all()
    assert (whole[39, 49:61] == (0, 255, 0)).all()
    assert (whole != render(ramp(), key, changed)[1]).any()


def test_only_training_is_changed_and_nothing_is_at_strength_0(tmp_path: Path) -> None:
    boxed = view("v", make_video(tmp_path / "v.mp4"), pedestrian={0: 100.0, 2: 100.0})

    def made(name: str, split: str, **randomise: object) -> list[bytes]:
        one = replace(job(boxed), split=split, raw_frames=split != "train")
        pictures, skips = picture_video(one, settings(randomise=randomise).prepare, tmp_path / name)
        assert {skip.what for skip in skips} <= {"phase"}
        return [(tmp_path / name / image).read_bytes() for each in pictures for image in each.images]

    plain = made("plain", "train")
    assert made("none", "train", strength=0, share=1.0) == plain
    assert made("val", "val", strength=4, share=1.0) == made("plain-val", "val")
    always = {"strength": 4, "share": 1.0, "kinds": ["photometry"]}
    changed = made("changed", "train", **always)
    assert len(changed) == len(plain) == 4  # two phases have boxes
    assert all(one != other for one, other in zip(changed, plain, strict=True))
    assert made("again", "train", **always) == changed


def test_conversations_are_changed_where_only_training_shows_the_image(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "both.png"):
        Image.fromarray(ramp(48, 32)).save(tmp_path / name)
    make_video(tmp_path / "v.mp4")
    shown = {"train": ("a.png", "both.png", "v.mp4#t=0.1"), "val": ("b.png", "both.png")}
    samples = [
        Sample(
            (message("user", image_block(), text_block("What?")), message("assistant", text_block("A ramp."))),
            (image,),
            image,
            TrafficMeta(kind="chat", split=split),
        )
        for split, images in shown.items()
        for image in images
    ]

    def made(name: str, **randomise: object) -> dict[str, bytes]:
        found = PrepareSettings(workers=1, randomise=RandomiseSettings(**randomise))
        prepare_conversations(samples, tmp_path, found, tmp_path / name)
        kept = [one for split in ("train", "val") for one in read_samples(tmp_path / name / f"{split}.parquet")]
        return {f"{each.meta.split} {each.group}": (tmp_path / name / each.images[0]).read_bytes() for each in kept}

    plain, changed = made("plain", share=1.0), made("changed", strength=3, share=1.0)
    assert plain["train a.png"] == (tmp_path / "a.png").read_bytes()
    assert {name for name in plain if plain[name] != changed[name]} == {"train a.png", "train v.mp4#t=0.1"}
    assert made("again", strength=3, share=1.0) == changed
