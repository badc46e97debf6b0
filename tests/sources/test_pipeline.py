"""From a data set of conversations to answers: check, prepare, train, predict, with a tiny model."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cityscribe import pipeline
from cityscribe.predict.conversations import predict_conversations
from cityscribe.prepare.conversations import prepare_conversations
from cityscribe.records import InputError, Sample, read_samples
from cityscribe.settings import PrepareSettings, Settings, resolve
from cityscribe.sources import CHECKS, SAMPLE_SOURCES
from cityscribe.sources.splits import divide, split_named
from cityscribe.video import read_frames
from tests.numbered_video import number_of
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


@pytest.fixture(scope="module", autouse=True)
def _little_to_collect() -> Iterator[None]:
    """Each training collects garbage twice; what was imported before it takes most of that time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("source", ["llava", "wts-vqa"])
def test_a_run_goes_from_files_to_answers(source: str, tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    data = tmp_path / "data"
    SMALL_SETS[source][1](data, False)
    assert [str(p) for p in CHECKS[source](data) if p.level == "error"] == []
    settings = _settings(source, data, tiny("llava"), tmp_path / "runs")
    pipeline.run(settings, _watch, lambda _: None)
    run = settings.run_dir
    asked = read_samples(run / "prepared" / "val.parquet")
    answers = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert len(answers) == len(asked) > 0
    for sample, answer in zip(asked, answers, strict=True):
        assert answer["reference"] == sample.messages[-1]["content"][0]["text"]
        assert ("chosen" in answer) == (sample.meta.kind == "choice")
        for image in sample.images:
            with Image.open(run / "prepared" / image) as stored:
                assert max(stored.size) <= 40
    if source == "wts-vqa":
        handed_in = json.loads((run / "submission.json").read_text())
        assert [row["id"] for row in handed_in] == [sample.meta.question for sample in asked]
    assert (run / "model" / "model.safetensors").is_file()
    said: list[str] = []
    pipeline.run(settings, _watch, said.append)
    assert said == ["prepare: up to date", "train: up to date", "predict: up to date"]
    with pytest.raises(InputError, match="has no stage evaluate"):
        pipeline.run(settings, _watch, lambda _: None, ("evaluate",))


def test_every_source_is_trained_on_and_answered(tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    """All sources in one training: what each of them brings goes through the processor, the model and the engine."""
    from cityscribe.models.load import load_model, load_processor, save_model
    from cityscribe.train.supervised import train

    samples: list[Sample] = []
    for name, (source, write) in SMALL_SETS.items():
        write(tmp_path / "data" / name, False)
        assert [str(p) for p in CHECKS[source](tmp_path / "data" / name) if p.level == "error"] == []
        for sample in SAMPLE_SOURCES[source](tmp_path / "data" / name, frames=2)[0]:
            images = tuple(f"{name}/{image}" for image in sample.images)
            meta = replace(sample.meta, split="train" if len(sample.messages) > 1 else "test")
            samples.append(replace(sample, images=images, group=f"{name}/{sample.group}", meta=meta))
    settings = _settings("llava", tmp_path, tiny("llava"), tmp_path)
    report = prepare_conversations(samples, tmp_path / "data", settings.prepare, tmp_path / "prepared")
    assert (sum(report.samples.values()), report.skipped) == (len(samples), 0)
    learned = read_samples(tmp_path / "prepared" / "train.parquet")
    assert {sample.group.partition("/")[0] for sample in learned} == set(SMALL_SETS)
    model, processor = load_model(tiny("llava"), dtype=torch.float32), load_processor(tiny("llava"))
    all_groups = settings.train.model_copy(update={"batch_groups": 100})
    done = train(learned, tmp_path / "prepared", model, processor, all_groups, tmp_path / "training")
    assert (done.samples, done.steps) == (len(learned), 1)
    save_model(model, processor, tmp_path / "model")
    out = tmp_path / "predictions.jsonl"
    assert predict_conversations(learned, tmp_path / "prepared", tmp_path / "model", settings, out) == len(learned)
    assert len(out.read_text().splitlines()) == len(learned)


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_equal_input_gives_equal_bytes_whatever_the_threads(tmp_path: Path) -> None:
    SMALL_SETS["llava"][1](tmp_path / "data", False)
    samples = divide(SAMPLE_SOURCES["llava"](tmp_path / "data")[0], 0.0, 0)
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
    samples, _ = SAMPLE_SOURCES["wts-vqa"](tmp_path / "data", frames=3)
    prepare_conversations(samples, tmp_path / "data", PrepareSettings(), tmp_path / "out")
    (place, phase) = read_samples(tmp_path / "out" / "train.parquet")
    numbers = [int(Path(image).stem) for image in phase.images]
    assert numbers == [7, 12, 17]  # 10 frames a second, at 0.75, 1.25 and 1.75 s
    assert [int(Path(image).stem) for image in place.images] == [5, 15, 25]
    with Image.open(tmp_path / "out" / phase.images[0]) as frame:
        assert number_of(np.asarray(frame.convert("RGB"))) == 7
    video = next((tmp_path / "data").rglob("*Camera1_0.mp4"))
    assert number_of(read_frames(video, [7])[7]) == 7


def test_a_broken_image_and_an_empty_answer_cost_only_their_samples(tmp_path: Path) -> None:
    for name in ("good.png", "bad.png"):
        picture(tmp_path / "data" / name)
    content = (tmp_path / "data" / "bad.png").read_bytes()
    (tmp_path / "data" / "bad.png").write_bytes(content[:-30])

    def entry(image: str, answer: str) -> dict[str, Any]:
        talk = [{"from": "human", "value": "<image>\nq"}, {"from": "gpt", "value": answer}]
        return {"id": f"{image} {answer}", "image": image, "conversations": talk}

    dump(tmp_path / "data" / "train.json", [entry("good.png", "a"), entry("bad.png", "a"), entry("good.png", " ")])
    samples, _ = SAMPLE_SOURCES["llava"](tmp_path / "data")
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
    samples, _ = SAMPLE_SOURCES["llava"](tmp_path)
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
