"""With two processes a project trains and predicts what it does with one, and what goes wrong is said once."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cityscribe.pipeline.launch import run_on_all
from cityscribe.predict.journal import SharedJournal
from cityscribe.project import Settings, dump_settings
from tests.pipeline.running import run_stages, settings_of
from tests.preloaded import preloaded_python

pytestmark = pytest.mark.skipif(
    not os.environ.get("CITYSCRIBE_MANY_PROCESSES"), reason="a minute and a half; CITYSCRIBE_MANY_PROCESSES=1 runs it"
)


@pytest.fixture(scope="module")
def both(
    city: Path, tiny: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Settings, Settings]:
    """Settings of a run by one process and of one by two, both finished but for the scores."""
    runs = tmp_path_factory.mktemp("many")
    one = settings_of(city, tiny("llava"), runs, predict={"batch_size": 2})
    run_stages(one, "prepare", "train", "predict")
    two = one.model_copy(update={"name": "two", "processes": 2})
    for part in ("prepared", "state/prepare.json"):
        copy = shutil.copytree if (one.run_dir / part).is_dir() else shutil.copy2
        (two.run_dir / part).parent.mkdir(parents=True, exist_ok=True)
        copy(one.run_dir / part, two.run_dir / part)

    @contextmanager
    def unwatched(name: str):  # type: ignore[no-untyped-def]
        yield lambda *_: None

    run_on_all(two, unwatched, lambda line: None, ("prepare", "train", "predict"))
    return one, two


def test_two_processes_train_what_one_does(both: tuple[Settings, Settings]) -> None:
    found, expected = (load_file(one.run_dir / "model" / "model.safetensors") for one in reversed(both))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert (found[name] - value).norm() <= 1e-3 * value.norm() + 1e-5, name


def test_two_processes_answer_byte_for_byte_what_one_does(both: tuple[Settings, Settings]) -> None:
    _, two = both
    shared = (two.run_dir / "predictions.json").read_bytes()
    assert list(two.run_dir.glob("*.partial*")) == []
    (two.run_dir / "predictions.json").unlink()
    assert run_stages(two, "predict") == ["predict"]  # by this process alone
    assert (two.run_dir / "predictions.json").read_bytes() == shared


def test_any_number_of_processes_goes_on_from_what_another_number_has_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "predictions.json.partial.jsonl"
    for rank in (0, 1, 2):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "3")
        journal = SharedJournal(path, "work")
        journal.append(rank + 10, [f"answer {rank}"])
        journal.close()
    monkeypatch.delenv("RANK")
    alone = SharedJournal(path, "work")
    assert alone.finished == {10: ["answer 0"], 11: ["answer 1"], 12: ["answer 2"]}
    assert SharedJournal(path, "other work").finished == {}
    alone.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_goes_wrong_in_processes_is_said_once(both: tuple[Settings, Settings], tmp_path: Path) -> None:
    one, _ = both
    project = tmp_path / "project.yaml"
    project.write_text(dump_settings(one))
    command = [preloaded_python(), "-m", "cityscribe", "train", str(project), "--processes", "2"]
    done = subprocess.run(
        [*command, "--set", "train.max_tokens=8"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 2
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert "8" in line


def test_one_process_computes_on_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two GPUs in sight the Trainer would cut each batch in two."""
    from transformers import TrainingArguments

    from cityscribe.train.trainer import TreeTrainer

    seen: list[int] = []

    class Stop(Exception):  # noqa: N818
        pass

    def init(self: object, model: object, args: TrainingArguments, *_: object, **__: object) -> None:
        seen.append(args.n_gpu)
        raise Stop

    monkeypatch.setattr("transformers.Trainer.__init__", init)
    arguments = TrainingArguments(use_cpu=True)
    arguments.device  # noqa: B018  (which is where it counts GPUs)
    arguments._n_gpu = 2
    sampler = type("Sampler", (), {"lengths": [1]})()
    collator = type("Collator", (), {"settings": None})()
    with pytest.raises(Stop):
        TreeTrainer(
            torch.nn.Linear(1, 1),  # type: ignore[arg-type]
            arguments,
            collator,
            sampler,
            out=Path(),
            attention=None,
            dtype=torch.float32,
            sharing="alone",
            lr_scales={},
            run={},
            keep=1,
            progress=None,
            validator=None,
            looks=[],
            callbacks=[],
        )
    assert seen == [1]
