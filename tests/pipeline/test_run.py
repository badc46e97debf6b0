"""The stages together, on a small synthetic city and a tiny random model."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.files import InputError, read_json
from cityscribe.pipeline.folders import locked, whole
from cityscribe.pipeline.stages import evaluate
from cityscribe.project import Settings, dump_settings, resolve
from tests.pipeline.running import as_it_is, results_of, run_stages, settings_of
from tests.preloaded import preloaded_python


def test_everything_is_where_the_design_says(finished: Settings) -> None:
    run = finished.run_dir
    for name in (
        *("project.yaml", "prepared/train.parquet", "prepared/val.parquet", "prepared/skipped.jsonl"),
        *("model/config.json", "model/model.safetensors", "training/curve.jsonl", "predictions.json", "scores.json"),
        "report/index.html",
    ):
        assert (run / name).is_file(), name
    assert not list(run.rglob("*.partial"))


def test_what_is_up_to_date_is_not_made_again(finished: Settings) -> None:
    before = results_of(finished.run_dir)
    assert run_stages(finished) == []
    assert results_of(finished.run_dir) == before


def test_a_changed_setting_makes_its_stage_and_those_after_it(
    city: Path, tiny: Callable[[str], Path], finished: Settings, tmp_path: Path
) -> None:
    shutil.copytree(finished.run_dir, tmp_path / "small")
    changed = settings_of(city, tiny("llava"), tmp_path, predict={"max_new_tokens": 5})
    assert run_stages(changed) == ["predict", "evaluate", "report", "card"]
    changed = settings_of(city, tiny("llava"), tmp_path, predict={"max_new_tokens": 5}, report={"samples": 1})
    assert run_stages(changed) == ["report"]


def test_settings_that_change_no_weights_make_nothing_again(
    city: Path, tiny: Callable[[str], Path], finished: Settings, tmp_path: Path
) -> None:
    shutil.copytree(finished.run_dir, tmp_path / "small")
    train = {"save_steps": 7, "workers": 1, "distributed": "fsdp2", "report_to": "tensorboard"}
    assert run_stages(settings_of(city, tiny("llava"), tmp_path, train=train)) == []


def test_several_processes_only_train_and_predict(finished: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(InputError, match="several processes can `train` and `predict` together"):
        run_stages(finished)


def test_rerunning_from_the_resolved_settings_repeats_the_run(finished: Settings, tmp_path: Path) -> None:
    again = resolve({**finished.model_dump(mode="json"), "runs": str(tmp_path)})
    run_stages(again)
    assert results_of(again.run_dir) == results_of(finished.run_dir)


def test_baselines_are_trained_predicted_and_scored(city: Path, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    settings = settings_of(
        city, tiny("llava"), tmp_path, predict={"baselines": ["untuned", "blind"]}, evaluate={"gates": True}
    )
    made = run_stages(settings)
    assert made[:3] == ["prepare", "train", "train blind"]
    sets = read_json(settings.run_dir / "gates.json")["sets"]
    assert [each["questions"] for each in sets] == ["text", "city"]
    assert all(each["asked"] >= max(each["right_before"], each["right_after"]) for each in sets)
    assert "Asked before and after the tuning" in (settings.run_dir / "report" / "index.html").read_text("utf-8")
    for name in ("untuned", "blind"):
        assert (settings.run_dir / "baselines" / name / "scores.json").is_file()
    for name in ("untuned", "blind", "majority"):
        assert read_json(settings.run_dir / "baselines" / name / "attributes.json")["segments"]
    assert min(read_json(settings.run_dir / "boxes.json").values()) > 0
    assert not (settings.run_dir / "baselines" / "untuned" / "model").exists()
    assert (settings.run_dir / "baselines" / "blind" / "model" / "model.safetensors").is_file()


def test_a_tuned_model_answers_for_another_run_as_for_its_own(finished: Settings, city: Path, tmp_path: Path) -> None:
    other = as_it_is(settings_of(city, finished.run_dir / "model", tmp_path))
    with pytest.raises(InputError, match=r"model\.method none: nothing trains"):
        run_stages(other, "train")
    assert run_stages(other) == ["prepare", "predict", "evaluate", "report"]
    for name in ("predictions.json", "scores.json", "baselines/majority/scores.json"):
        assert (other.run_dir / name).read_bytes() == (finished.run_dir / name).read_bytes()
    assert not (other.run_dir / "model").exists()
    assert run_stages(other) == []
    page = (other.run_dir / "report" / "index.html").read_text("utf-8")
    assert "the model of this run, as it is" in page
    assert "Nothing was trained" in page
    assert "tuned by" not in page
    assert "<small>the model of this run</small>" not in page


def test_data_without_a_training_split_can_be_answered_and_scored(
    finished: Settings, city: Path, tmp_path: Path
) -> None:
    reduced = tmp_path / "city"
    shutil.copytree(city, reduced)
    folders = [path for path in reduced.rglob("train") if path.is_dir()]
    assert folders
    for folder in folders:
        shutil.rmtree(folder)
    other = as_it_is(settings_of(reduced, finished.run_dir / "model", tmp_path))
    majority = other.run_dir / "baselines" / "majority"
    majority.mkdir(parents=True)  # as an earlier run on more data left it
    assert run_stages(other) == ["prepare", "predict", "evaluate", "report"]
    assert (other.run_dir / "scores.json").read_bytes() == (finished.run_dir / "scores.json").read_bytes()
    assert not majority.exists()
    for settings, column in ((other, False), (finished, True)):
        project = settings.run_dir / "project.yaml"
        shown = CliRunner().invoke(app, ["world", "bench", str(project)])
        assert shown.exit_code == 0, shown.output
        assert "oracle" in shown.output
        assert ("majority" in shown.output) == column


def test_a_stage_needs_those_before_it(city: Path, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run it first"):
        run_stages(settings_of(city, tiny("llava"), tmp_path), "predict")


def test_a_full_disk_leaves_nothing_that_counts_as_done(
    city: Path, tiny: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(city, tiny("llava"), tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "scores.json"))

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "_write_scores", full)
        with pytest.raises(OSError, match="No space left"):
            run_stages(settings)
    assert not (settings.run_dir / "scores.json").exists()
    assert run_stages(settings) == ["evaluate", "report", "card"]


def test_two_at_a_time_are_refused(finished: Settings) -> None:
    with locked(finished.run_dir), pytest.raises(InputError, match="another cityscribe"):
        run_stages(finished)


def test_killed_at_random_moments_it_ends_as_if_never_killed(finished: Settings, tmp_path: Path) -> None:
    settings = resolve({**finished.model_dump(mode="json"), "runs": str(tmp_path)})
    project = tmp_path / "project.yaml"
    project.write_text(dump_settings(settings))
    command = [preloaded_python(), "-m", "cityscribe", "run", str(project)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    chance = random.Random(0)
    for begun in ("training/run.json",):  # `test_kills` has all moments
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
        while not (settings.run_dir / begun).exists():
            assert process.poll() is None, process.communicate()[0].decode()
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, f"it ended before it was killed after {begun}"
    run_stages(settings)
    assert results_of(settings.run_dir) == results_of(finished.run_dir)


def test_what_a_killed_step_left_is_kept_for_the_same_work_only(tmp_path):
    folder = tmp_path / "prepared"

    def killed(made_from):
        found = []

        def work():
            with whole(folder, made_from) as (out, resume):
                found.extend((resume, [path.name for path in out.iterdir()]))
                (out / made_from).write_text("")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            work()
        return tuple(found)

    assert killed("a") == (False, [])
    assert killed("a") == (True, ["a"])
    assert killed("b") == (False, [])
    assert not folder.exists()
    with whole(folder, "b") as (_, resume):
        assert resume
    assert [path.name for path in tmp_path.iterdir()] == ["prepared"]
    assert [path.name for path in folder.iterdir()] == ["b"]
