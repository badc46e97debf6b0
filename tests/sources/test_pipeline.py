"""From a data set of conversations to answers: check, prepare, train, predict, with a tiny model."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cityscribe import pipeline
from cityscribe.media.video import read_frames
from cityscribe.prepare.conversations import prepare_conversations
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.project import Settings, resolve
from cityscribe.records import read_samples, text_of
from cityscribe.sources import SOURCES
from cityscribe.sources.reading import check_data
from cityscribe.sources.splits import divide, split_named
from tests.media.numbered_video import number_of
from tests.sources.conversations import dump, picture
from tests.sources.small_sets import SMALL_SETS


@contextmanager
def _watch(name: str) -> Iterator[Callable[..., None]]:
    yield lambda *_: None


def _settings(source: str, data: Path, model: Path, runs: Path, **given: Any) -> Settings:
    return resolve(
        {
            "runs": str(runs),
            "name": "small",
            "data": {"source": source, "path": str(data), "frames": 2, "val_share": 0.5, **given},
            "prepare": {"image_size": 40},
            "model": {"base": str(model), "block_expansion": {"blocks": 1}},
            "train": {
                "max_steps": 1,
                "batch_groups": 1,
                "precision": "fp32",
            },
            "predict": {"max_new_tokens": 3, "precision": "fp32"},
        }
    )


@pytest.mark.parametrize("name", list(SMALL_SETS))
def test_a_run_goes_from_files_to_scores(name: str, tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    """Sample, check, prepare, train one step, predict, evaluate: with every source."""
    source, write = SMALL_SETS[name]
    data = tmp_path / "data"
    write(data, False)
    assert [str(p) for p in check_data(source, data) if p.level == "error"] == []
    settings = _settings(source, data, tiny("llava"), tmp_path / "runs")
    splits = {sample.meta.split for sample in divide(SOURCES[source].read(data)[0], 0.5, settings.seed)}
    if "val" not in splits:  # a set of one image
        settings = settings.model_copy(update={"predict": settings.predict.model_copy(update={"split": "train"})})
    stages = ("prepare", "train", "predict", "evaluate")
    pipeline.run(settings, _watch, lambda _: None, stages)
    run = settings.run_dir
    asked = read_samples(run / "prepared" / f"{settings.predict.split}.parquet")
    answers = [json.loads(line) for line in (settings.results_dir / "predictions.jsonl").read_text().splitlines()]
    assert len(answers) == len(asked) > 0
    assert (run / "prepared" / "skipped.jsonl").read_text() == ""
    for sample, answer in zip(asked, answers, strict=True):
        assert answer["reference"] == text_of(sample.messages[-1])
        assert ("chosen" in answer) == (sample.meta.kind == "choice")
        for image in sample.images:
            with Image.open(run / "prepared" / image) as stored:
                assert max(stored.size) <= 40
    if source == "wts-vqa":
        handed_in = json.loads((settings.results_dir / "submission.json").read_text())
        assert [row["id"] for row in handed_in] == [sample.meta.question for sample in asked]
    assert (run / "model" / "model.safetensors").is_file()
    assert json.loads((settings.results_dir / "scores.json").read_text())
    said: list[str] = []
    pipeline.run(settings, _watch, said.append, stages)
    split = "" if settings.predict.split == "val" else f" {settings.predict.split}"
    assert said == [f"{stage}{split if stage in ('predict', 'evaluate') else ''}: up to date" for stage in stages]


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_equal_input_gives_equal_bytes_whatever_the_threads(tmp_path: Path) -> None:
    SMALL_SETS["llava"][1](tmp_path / "data", False)
    samples = divide(SOURCES["llava"].read(tmp_path / "data")[0], 0.0, 0)
    made = []
    for workers in (1, 3):
        out = tmp_path / f"out{workers}"
        prepare_conversations(samples, tmp_path / "data", PrepareSettings(workers=workers), out)
        made.append(_hashes(out))
    assert made[0] == made[1]
    images = {name: digest for name, digest in made[0].items() if name.startswith("images/coco")}
    assert images == {f"images/{name}": digest for name, digest in _hashes(tmp_path / "data").items() if "coco" in name}


def test_frames_are_those_of_their_times(tmp_path: Path) -> None:
    SMALL_SETS["wts-vqa"][1](tmp_path / "data", False)
    samples, _ = SOURCES["wts-vqa"].read(tmp_path / "data", frames=3)
    prepare_conversations(samples, tmp_path / "data", PrepareSettings(), tmp_path / "out")
    (place, phase) = read_samples(tmp_path / "out" / "train.parquet")
    numbers = [int(Path(image).stem[:6]) for image in phase.images]
    assert numbers == [6, 8, 16]  # the annotated one; then 10 frames a second, at 0.875 and 1.625 s
    assert [int(Path(image).stem) for image in place.images] == [5, 15, 25]
    for image in phase.images:
        with Image.open(tmp_path / "out" / image) as frame:
            assert number_of(np.asarray(frame.convert("RGB"))) == int(Path(image).stem[:6])
    video = next((tmp_path / "data").rglob("*Camera1_0.mp4"))
    assert number_of(read_frames(video, [7])[7]) == 7


def test_boxes_are_drawn_where_a_question_has_them(tmp_path: Path) -> None:
    SMALL_SETS["wts-vqa"][1](tmp_path / "data", False)
    samples, _ = SOURCES["wts-vqa"].read(tmp_path / "data", frames=2)
    marked = {}
    for draw in (True, False):
        out = tmp_path / str(draw)
        settings = PrepareSettings(draw_boxes=draw, line_width=2)
        prepare_conversations(samples, tmp_path / "data", settings, out)
        (_, phase) = read_samples(out / "train.parquet")
        marked[draw] = phase.meta.marked
        picture = np.asarray(Image.open(out / phase.images[0]).convert("RGB")).astype(int)
        green, blue = (np.abs(picture - colour).max(-1) < 60 for colour in ((0, 255, 0), (0, 0, 255)))
        assert (green.any(), blue.any()) == (draw, draw)
        other = np.asarray(Image.open(out / phase.images[1]).convert("RGB")).astype(int)
        assert not (np.abs(other - (0, 255, 0)).max(-1) < 60).any()
    assert marked == {True: ("pedestrian", "vehicle"), False: ()}


def test_a_killed_prepare_keeps_its_frames(tmp_path: Path) -> None:
    SMALL_SETS["wts-vqa"][1](tmp_path / "data", False)
    samples, _ = SOURCES["wts-vqa"].read(tmp_path / "data", frames=3)
    prepare_conversations(samples, tmp_path / "data", PrepareSettings(), tmp_path / "whole")
    out = tmp_path / "out"
    shutil.copytree(tmp_path / "whole", out)
    for number, path in enumerate(sorted(out.rglob("*"))):
        if path.is_file() and (path.suffix != ".jpg" or number % 2):
            path.unlink()
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}
    prepare_conversations(samples, tmp_path / "data", PrepareSettings(), out, resume=True)
    assert _hashes(out) == _hashes(tmp_path / "whole")
    assert kept
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())


def test_a_broken_image_and_an_empty_answer_cost_only_their_samples(tmp_path: Path) -> None:
    for name in ("good.png", "bad.png"):
        picture(tmp_path / "data" / name)
    content = (tmp_path / "data" / "bad.png").read_bytes()
    (tmp_path / "data" / "bad.png").write_bytes(content[:-30])

    def entry(image: str, answer: str) -> dict[str, Any]:
        talk = [{"from": "human", "value": "<image>\nq"}, {"from": "gpt", "value": answer}]
        return {"id": f"{image} {answer}", "image": image, "conversations": talk}

    dump(tmp_path / "data" / "train.json", [entry("good.png", "a"), entry("bad.png", "a"), entry("good.png", " ")])
    samples, _ = SOURCES["llava"].read(tmp_path / "data")
    prepare_conversations(samples, tmp_path / "data", PrepareSettings(), tmp_path / "out")
    assert [s.meta.scenario for s in read_samples(tmp_path / "out" / "train.parquet")] == ["good.png a"]
    skipped = [json.loads(line) for line in (tmp_path / "out" / "skipped.jsonl").read_text().splitlines()]
    assert [(skip["scenario"], skip["what"]) for skip in skipped] == [
        ("bad.png a", "image"),
        ("good.png  ", "question"),
    ]


def test_the_share_for_validation_takes_whole_groups(tmp_path: Path) -> None:
    for number in range(20):
        picture(tmp_path / f"{number}.png")
    talk = [{"from": "human", "value": "<image>\nq"}, {"from": "gpt", "value": "a"}]
    dump(tmp_path / "x.json", [{"image": f"{n % 20}.png", "conversations": talk} for n in range(60)])
    samples, _ = SOURCES["llava"].read(tmp_path)
    divided = divide(samples, 0.25, 7)
    groups = {split: {s.group for s in divided if s.meta.split == split} for split in ("train", "val")}
    assert len(groups["val"]) == 5
    assert not groups["train"] & groups["val"]
    assert divide(list(reversed(samples)), 0.25, 7) == list(reversed(divided))
    assert {s.meta.split for s in divide(samples[:1], 0.5, 0)} == {"train"}


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("llava_val.json", "val"),
        ("train2017/0.json", "train"),
        ("data/validation-0.parquet", "val"),
        ("x.json", None),
        ("constrained.json", None),
        ("train/test.json", "test"),
        ("mix665k.json", None),
    ],
)
def test_names_of_splits(path: str, split: str | None) -> None:
    assert split_named(path) == split
