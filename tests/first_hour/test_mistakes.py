"""What people type by mistake: each mistake ends with status 2 and one message that says what to type instead."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cityscribe.cli.shell import run_command
from cityscribe.media.video import write_video
from cityscribe.project import dump_settings, resolve


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one of everything that people have lying around."""
    import numpy as np

    root = tmp_path_factory.mktemp("things")
    write_video(root / "clip.mp4", (np.full((32, 64, 3), 20 * n, np.uint8) for n in range(8)), 4)
    (root / "README.md").write_text("# Clips\n\nOf a crossing.\n")
    (root / "claims.csv").write_text("clip,text\nclip.mp4,a car\n")
    (root / "empty").mkdir()
    (root / "bad.yaml").write_text("data: {path: x}\n")
    (root / "data.zip").write_bytes(b"PK\3\4")
    (root / "wts" / "annotations").mkdir(parents=True)
    (root / "clips").mkdir()
    shutil.copy(root / "clip.mp4", root / "clips")
    (root / "p.yaml").write_text(f"data: {{path: {root / 'wts'}, source: wts}}\nruns: {root / 'runs'}\nname: one\n")
    for name in ("one", "two"):
        run = root / "runs" / name
        run.mkdir(parents=True)
        settings = {"data": {"path": str(root / "wts"), "source": "wts"}, "runs": str(root / "runs"), "name": name}
        (run / "project.yaml").write_text(dump_settings(resolve(settings)))
    (root / "model").mkdir()
    (root / "model" / "config.json").write_text('{"model_type": "llava"}')
    (root / "predictions.json").write_text(json.dumps({"a": [{"labels": ["0"]}]}))
    (root / "predictions.jsonl").write_text('{"id": "q", "answer": "a"}\n{"id": "r", "answer": "b"}\n')
    return root


CONFORMANCE = Path(__file__).parents[1] / "conformance" / "wts-score" / "references"

MISTAKES = [
    # something else in the place of a project
    ("run clip.mp4", "is a video; expected a project file or a run folder"),
    ("predict clip.mp4", "cityscribe describe clip.mp4 --model runs/NAME"),
    ("train README.md", "is a text for people; expected a project file"),
    ("run wts", "cityscribe init project.yaml --data"),
    ("run clips", "data.source: clips"),
    ("run model", "model.base"),
    ("run runs", "runs/one"),
    ("run data.zip", "is an archive"),
    ("evaluate predictions.json", "cityscribe score"),
    ("report nowhere.yaml", "cityscribe init"),
    ("world bench clip.mp4", "is a video"),
    ("experiment compare runs/one README.md", "is a text for people"),
    ("experiment compare runs/one", "two runs or more"),
    ("evaluate runs/one", "run it first"),
    # settings
    ("run p.yaml --lr 1e-4", "--set train.lr=VALUE"),
    ("predict p.yaml --split test", "--set predict.split=VALUE"),
    ("train p.yaml --gpus 8", "--set NAME=VALUE"),
    ("run p.yaml --set train.lr", "expected NAME=VALUE"),
    ("run p.yaml --set trian.lr=1", "did you mean `train`"),
    ("run p.yaml --set model.method=lorra", "did you mean `lora`"),
    # what is missing is said before anything is made
    ("run p.yaml --set predict.engine=remote", "predict.remote.model: missing"),
    ("run p.yaml --set train.report_to=wandb", "cityscribe[wandb]"),
    ("run p.yaml --set train.distributed=deepspeed", "cityscribe[deepspeed]"),
    ("run p.yaml --set model.base=runs/two", "has no config.json"),
    ("run p.yaml --set model.base=clip.mp4", "is a file"),
    ("run p.yaml --set prepare.labeller.kind=server", "prepare.labeller.model: missing"),
    # models
    ("serve README.md", "expected the folder or hub id of a model, or a run folder"),
    ("serve clip.mp4", "is a video"),
    ("serve runs/one", "cityscribe train"),
    ("serve wts", "is the folder of a data set"),
    ("serve runs", "runs/NAME"),
    # files of answers
    ("score captions p.yaml --references wts", "is a YAML file; expected captions"),
    ("score captions runs/one --references wts", "cityscribe evaluate"),
    ("score captions clip.mp4 --references wts", "is a video; expected captions"),
    ("score captions predictions.jsonl --references wts", "cityscribe score answers"),
    ("score answers predictions.json", "cityscribe score captions"),
    ("score answers claims.csv", "is a table"),
    ("score benchmark popee --data wts --answers predictions.jsonl", "did you mean pope"),
    ("score benchmark imagenet --data wts", "expected one of: gqa"),
    ("score benchmark pope --data nowhere --answers predictions.jsonl", "nowhere: no such folder"),
    ("score judge clip.mp4 --model x", "is a video"),
    # data that are not there, or nothing
    ("run p.yaml --set data.path=missing", "missing: no such folder"),
    ("prepare p.yaml --set data.path=empty", "no scenario"),
    ("evaluate p.yaml --set data.path=empty", "run it first"),
    ("run p.yaml --set data.path=empty --set model.base=nowhere/", "nowhere"),
    ("score captions none.json --references empty", "no references"),
    ("score captions none.json --references CONFORMANCE", "none.json"),
    ("score captions bad.yaml --references CONFORMANCE", "bad.yaml: is a YAML file"),
    ("world make empty", "already there"),
    ("check clip.mp4", "is a video; expected the folder of a data set"),
    ("check p.yaml", "is a YAML file"),
    ("check nowhere", "nowhere: no such folder"),
    ("data stats README.md", "is a text for people"),
    ("data detect clip.mp4 --model x --output y", "give the folder that holds it"),
    # others
    ("init wts", "is a folder; name the file to write"),
    ("init new.yaml --preset qwen", "did you mean qwen"),
    ("list tunning", "did you mean tuning"),
    ("trian p.yaml", "'train'"),
    ("world make city --kind surveillance --val 6", "--val: a world of kind surveillance has none"),
    ("world make city --masts 2 --kind questions", "--masts"),
]


@pytest.mark.parametrize(("typed", "hint"), MISTAKES, ids=[typed for typed, _ in MISTAKES])
def test_a_mistake_is_answered_with_what_to_type(
    typed: str, hint: str, things: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(things)
    typed = typed.replace("CONFORMANCE", str(CONFORMANCE))
    before = sorted(things.rglob("[!.]*"))
    assert run_command(typed.split()) == 2
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert hint in said
    assert "Traceback" not in said
    assert sorted(things.rglob("[!.]*")) == before
