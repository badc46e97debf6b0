"""A mixture has the shares that were asked for, and each sample says where it comes from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from cityscribe.files import InputError
from cityscribe.records import Sample, image_block, message, text_block
from cityscribe.sources.messages import read_messages, write_messages
from cityscribe.sources.mixing import DataPart, mix
from cityscribe.traffic.meta import TrafficMeta


def part(root: Path, train: int) -> Path:
    for split, count in (("train", train), ("val", 2)):
        samples = []
        for n in range(count):
            image = f"images/{split}-{n}.png"
            (root / "images").mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (n, 0, 0)).save(root / image)
            for task in ("a", "b"):
                asked = message("user", image_block(), text_block(task)), message("assistant", text_block(str(n)))
                meta = TrafficMeta(scenario=f"{split}-{n}", split=split, kind="short", dimension=task)
                samples.append(Sample(asked, (image,), image, meta))
        write_messages(samples, root / f"{split}.jsonl")
    return root


def test_shares_origins_and_splits(tmp_path: Path) -> None:
    real, made = part(tmp_path / "r", 4), part(tmp_path / "m", 9)
    parts = [DataPart("real", real, 0.25), DataPart("made", made, 0.75)]
    assert mix(parts, tmp_path / "out", seed=3) == {"real": 3, "made": 9}
    samples, problems = read_messages(tmp_path / "out")
    assert problems == []
    train = Counter(sample.meta.note for sample in samples if sample.meta.split == "train")
    assert train == {"origin: real": 6, "origin: made": 18}
    tested = [sample for sample in samples if sample.meta.split == "val"]
    assert {sample.meta.scenario for sample in tested} == {"val-0", "val-1"}
    assert all(sample.images[0].startswith("real/") for sample in tested)
    assert all((tmp_path / "out" / image).is_file() for sample in samples for image in sample.images)
    groups = {sample.group for sample in samples if sample.meta.split == "train"}
    assert len(groups) == 12
    mix(parts, tmp_path / "again", seed=3)
    assert (tmp_path / "again/train.jsonl").read_bytes() == (tmp_path / "out/train.jsonl").read_bytes()
    assert mix([DataPart("r", real, None), DataPart("m", made, None)], tmp_path / "whole") == {"r": 4, "m": 9}


def test_what_cannot_be_mixed_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    real, made = part(tmp_path / "r", 2), part(tmp_path / "m", 2)
    for parts, why in (
        ([DataPart("a", real, None)], "at least two parts"),
        ([DataPart("a", real, None), DataPart("a", made, None)], "different names"),
        ([DataPart("a", real, 0.5), DataPart("b", made, None)], "of each part, or of none"),
        ([DataPart("a", real, 0.5), DataPart("b", made, 0.4)], "add up to 0.9"),
        ([DataPart("a", real, None), DataPart("b", tmp_path / "images", None)], "images"),
    ):
        with pytest.raises(InputError, match=why):
            mix(parts, tmp_path / "out")
        assert not (tmp_path / "out").exists()
