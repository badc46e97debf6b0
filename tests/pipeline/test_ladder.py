"""A ladder on questions: prompts for what frames show, packed weights, and a table; nothing is made twice."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from cityscribe.files import InputError
from cityscribe.predict.conversations import predict_conversations
from cityscribe.project import Settings, resolve
from cityscribe.records import Sample, image_block, message, read_samples, text_block
from cityscribe.sources.messages import write_messages
from cityscribe.traffic.meta import TrafficMeta
from tests.pipeline.running import run_stages

LIBRARY = """
tasks:
  cones:
    add:
      - {when: {cone: "yes"}, say: They stand on the road.}
"""


def written(root: Path) -> Path:
    for split in ("train", "val"):
        samples = []
        for n in range(2):
            image = f"images/{split}-{n}.png"
            (root / "images").mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 40), (200 * n, 90, 30)).save(root / image)
            for task, answer in (("cones", "yes" if n else "no"), ("speed", "30")):
                asked = (message("user", image_block(), text_block(f"What of {task}?")),)
                meta = TrafficMeta(scenario=f"{split}-{n}", split=split, kind="short", dimension=task)
                samples.append(Sample((*asked, message("assistant", text_block(answer))), (image,), image, meta))
        write_messages(samples, root / f"{split}.jsonl")
    (root / "truth").mkdir()
    objects = {f"images/{split}-{n}.png": ["cone"] * n for split in ("train", "val") for n in range(2)}
    (root / "truth/objects.json").write_text(json.dumps(objects))
    (root.parent / "library.yaml").write_text(LIBRARY)
    return root


def settings_of(root: Path, model: Path, runs: Path, **changes: object) -> Settings:
    library = {"prompts.library": str(root.parent / "library.yaml"), "prompts.reader": {"kind": "objects"}}
    return resolve(
        {
            "runs": str(runs),
            "name": "steps",
            "data": {"path": str(root), "source": "messages"},
            "model": {"base": str(model), "method": "none"},
            "predict": {"max_new_tokens": 4, "precision": "fp32", "drafts": False},
            "ladder": {
                "steps": {"prompts": library, "INT4": {"quantise.bits": 4, "quantise.method": "rtn"}},
                "score": {"kind": "driving"},
                "asked": 1,
                "back": False,
                **changes,
            },
        }
    )


def test_a_ladder_from_data_to_its_table(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    root = written(tmp_path / "data")
    settings = settings_of(root, tiny("llava"), tmp_path / "runs")
    assert run_stages(settings)[-1] == "ladder"
    folder = settings.run_dir / "ladder"
    rows = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    assert [row["arm"] for row in rows] == ["as it is", "prompts", "INT4", "the commonest answer"]
    assert float(rows[-1]["speed"]) == 1.0
    assert all(float(row["answers/s"]) > 0 for row in rows[:-1])
    assert float(rows[2]["memory MB"]) < float(rows[1]["memory MB"])
    assert (folder / "scores.png").stat().st_size > 5000

    prompted = read_samples(folder / "runs/prompts-0/prompted/val.parquet")
    questions = [json.loads(line)["question"] for line in _answers(folder / "runs/prompts-0")]
    assert questions == [sample.messages[0]["content"][-1]["text"] for sample in prompted]
    cones = "What of cones?"
    assert questions == [cones, "What of speed?", f"{cones} They stand on the road.", "What of speed?"]
    counts = json.loads((folder / "runs/prompts-0/prompted/prompts.json").read_text())
    assert counts["val"] == {"samples": 4, "asked as they are": {"speed": 2}}

    packed = folder / "runs/INT4-0/packed"  # what answers is the packed model
    again = tmp_path / "again.jsonl"
    predict_conversations(prompted, folder / "runs/INT4-0/prepared", packed, settings, again)
    assert again.read_text().splitlines() == _answers(folder / "runs/INT4-0")

    said: list[str] = []
    assert run_stages(settings, said=said) == []
    (tmp_path / "library.yaml").write_text(LIBRARY.replace("They stand", "Some stand"))
    before = {arm: (folder / f"runs/{arm}-0/state/predict.json").stat().st_mtime_ns for arm in ("as-it-is", "prompts")}
    assert run_stages(settings) == ["ladder"]
    after = {arm: (folder / f"runs/{arm}-0/state/predict.json").stat().st_mtime_ns for arm in before}
    assert after["as-it-is"] == before["as-it-is"]
    assert after["prompts"] != before["prompts"]


def _answers(run: Path) -> list[str]:
    return (run / "predictions.jsonl").read_text().splitlines()


def test_what_cannot_be_a_ladder_is_said_before_anything_is_made(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    root = written(tmp_path / "data")
    steps = {"x": {"quantise.bits": 3}}
    with pytest.raises(InputError, match=r"ladder: x.*quantise\.bits"):
        run_stages(settings_of(root, tiny("llava"), tmp_path / "runs", steps=steps))
    (tmp_path / "library.yaml").write_text("tasks: {lights: {}}")
    settings = settings_of(root, tiny("llava"), tmp_path / "runs")
    with pytest.raises(InputError, match="lights: no sample is of this task; there are: cones, speed"):
        run_stages(settings)
    assert not (settings.run_dir / "ladder/table.csv").exists()
