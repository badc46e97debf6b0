"""Two teams in their first hour: a researcher takes the preset of her Qwen, asks whether it fits and compares two runs;
a driver-assistance team has conversations in LLaVA's JSON.

What needs no model is typed in a process of its own. All else is read by the same command line in this process, where
libraries are loaded already; the run of the preset of `test_init_then_run` is hers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cityscribe.cli.shell import run_command
from cityscribe.world.dataset import WorldSettings, write_dataset
from tests.first_hour.test_persons import typed

QUICK = {
    "prepare.pedestrian_threshold": "64",
    "prepare.vehicle_threshold": "64",
    "prepare.image_size": "128",
    "prepare.workers": "1",
    "train.max_steps": "1",
    "train.precision": "fp32",
    "predict.precision": "fp32",
    "predict.max_new_tokens": "4",
    "report.samples": "1",
}

Types = Callable[..., str]


def quick(**changes: str) -> list[str]:
    return [f"--set={name}={value}" for name, value in (QUICK | changes).items()]


@pytest.fixture
def types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Types:
    """What a command prints that is typed in the folder of the test."""
    monkeypatch.chdir(tmp_path)

    def answer(*words: str, status: int = 0) -> str:
        capsys.readouterr()
        done = run_command(list(words))
        said = capsys.readouterr()
        assert done == status, said.err
        return said.out + said.err

    return answer


def test_a_researcher_with_a_qwen(types: Types, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    write_dataset(tmp_path / "WTS", WorldSettings(train=1, val=1, external=0.0, seed=3, fps=5), workers=1)
    assert "cityscribe run" in types("init", "p.yaml", "--preset", "qwen2.5-vl-7b", "--data", "WTS")
    fits = types("plan", "p.yaml", "--groups", "1000")  # of the published model, without its weights
    assert ("all (lora)" in fits, "H100" in fits, "estimated" in fits) == (True, True, True)
    said = types("run", "p.yaml", *quick(**{"model.base": str(tiny("qwen2.5-vl"))}))
    assert "prepare: done" in said
    assert "report: runs/qwen2.5-vl-7b/report/index.html" in said
    assert "train: up to date" in types("train", "runs/qwen2.5-vl-7b")
    shutil.copytree(tmp_path / "runs" / "qwen2.5-vl-7b", tmp_path / "runs" / "other")
    compared = types("experiment", "compare", "runs/qwen2.5-vl-7b", "runs/other")
    assert "page: runs/compare/index.html" in compared


def test_a_driver_assistance_team_with_conversations(types: Types, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    entries = []
    for number in range(12):
        Image.fromarray(np.full((64, 96, 3), 20 * number, np.uint8)).save(tmp_path / f"{number}.png")
        asked = {"from": "human", "value": "<image>\nMay the vehicle go on?"}
        told = {"from": "gpt", "value": "Yes, the road is free." if number % 2 else "No, a pedestrian crosses."}
        entries.append({"id": f"q{number}", "image": f"{number}.png", "conversations": [asked, told]})
    (tmp_path / "data.json").write_text(json.dumps(entries))
    types("init", "p.yaml", "--data", ".")
    status, said = typed(tmp_path, "check", ".", "--source", "llava")
    assert (status, "0 errors" in said) == (0, True), said
    changes = {"data.source": "llava", "data.val_share": "0.3", "model.base": str(tiny("llava"))}
    said = types("run", "p.yaml", *quick(**changes))
    assert "exact" in said  # the table of scores
    assert "runs/run/report/index.html" in said
    answers = (tmp_path / "runs/run/predictions.jsonl").read_text().splitlines()
    assert json.loads(answers[0])["reference"] in ("Yes, the road is free.", "No, a pedestrian crosses.")
    assert "cityscribe score answers" in types(
        *("score", "captions", "runs/run/predictions.jsonl", "--references", "."), status=2
    )
