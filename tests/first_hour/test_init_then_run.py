"""What `init` writes, `run` runs: with the defaults, and with each preset on a tiny checkpoint of its family."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.models.load import save_model
from cityscribe.presets import PRESETS
from cityscribe.project import load_settings
from cityscribe.world.dataset import WorldSettings, write_dataset
from tests.models.vlm.llama_vid import llama_vid

FAMILY_OF = {
    "llava-1.5-7b": "llava",
    "tinygpt-v": "llava",
    "llava-onevision-7b": "llava-onevision",
    "cityllava-7b": "llava-next",
    "qwen3-vl-2b": "qwen3-vl",
    "smolvlm-256m": "smolvlm",
    "llava-two-stage-1": "llava",
    "llava-two-stage-2": "llava",
    "llama-vid-1": "llama-vid",
    "llama-vid-2": "llama-vid",
    "llama-vid-3": "llama-vid",
}

FOLLOWING = {
    "cityllava-dpo": {"pairs.max_new_tokens": "4", "model.block_expansion.blocks": "1"},
    "opa-align": {
        "pairs.max_new_tokens": "4",
        "pairs.builder.kind": "own-output",
    },  # a tiny model says nothing to correct
    "opa-dpo": {},
    "grpo-attributes": {
        "train.objective.num_generations": "2",
        "train.objective.max_completion_length": "4",
        "train.batch_groups": "1",
    },
}
"""Presets that go on from a tuned model: tried up to their training, with what is smaller."""

RESEARCHER = "qwen2.5-vl-7b"
"""The preset whose run is that of the researcher in `test_teams`."""

SAME_RUN = {"cityllava-34b": "cityllava-7b", "qwen2.5-vl-3b": "qwen2.5-vl-7b", "smolvlm-500m": "smolvlm-256m"}
"""Presets that are another one for a model of another size: on a tiny checkpoint their runs are the same run."""

SMALL = {
    "prepare.pedestrian_threshold": "64",
    "prepare.vehicle_threshold": "64",
    "prepare.image_size": "128",
    "prepare.workers": "1",
    "train.max_steps": "1",
    "train.batch_groups": "1",
    "predict.max_new_tokens": "4",
    "report.samples": "1",
}
"""What fits a city of four scenarios and a model that says nothing of use; it leaves the preset's ways as they are."""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("first-hour") / "city"
    write_dataset(root, WorldSettings(train=1, val=1, external=0.0, seed=3, fps=5), workers=1)
    return root


PREPARED: dict[str, Path] = {}
"""Runs by what their samples were made from: presets that prepare alike share them, as a copy of a run does."""


def initialised_and_run(folder: Path, init: list[str], changed: dict[str, str]) -> Path:
    """The run folder of `init` followed by `run`."""
    project = folder / "project.yaml"
    written = CliRunner().invoke(app, ["init", str(project), *init])
    assert written.exit_code == 0, written.output
    options = [part for name, value in changed.items() for part in ("--set", f"{name}={value}")]
    options += ["--set", f"runs={folder / 'runs'}"]
    settings = load_settings(project, options[1::2])
    prepared = PREPARED.setdefault(
        settings.prepare.model_dump_json() + settings.data.model_dump_json(), settings.run_dir
    )
    if prepared != settings.run_dir:
        shutil.copytree(prepared / "prepared", settings.run_dir / "prepared")
        (settings.run_dir / "state").mkdir()
        shutil.copy2(prepared / "state" / "prepare.json", settings.run_dir / "state")
    done = CliRunner().invoke(app, ["run", str(project), *options])
    assert done.exit_code == 0, done.output
    assert ("prepare: up to date" in done.output) == (prepared != settings.run_dir)
    return settings.run_dir


def test_the_defaults_work_together(city: Path, tmp_path: Path) -> None:
    """Nothing is changed but how long it takes."""
    shorter = {"train.max_steps": "1", "train.batch_groups": "2", "predict.max_new_tokens": "4", "prepare.workers": "1"}
    run = initialised_and_run(tmp_path, ["--data", str(city)], shorter)
    assert (run / "scores.json").is_file()
    assert (run / "report" / "index.html").is_file()


@pytest.mark.parametrize("preset", sorted(FAMILY_OF))
def test_a_preset_runs_on_its_family(preset: str, city: Path, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    if FAMILY_OF[preset] == "llama-vid":
        save_model(*llama_vid(), tmp_path / "base")
        base = {"model.base": str(tmp_path / "base")}
    else:
        base = {"model.base": str(tiny(FAMILY_OF[preset]))}
    run = initialised_and_run(tmp_path, ["--preset", preset, "--data", str(city)], SMALL | base)
    assert (run / "model" / "model.safetensors").is_file()
    assert (run / "report" / "index.html").is_file()


def test_presets_that_go_on_from_a_tuned_model_train(city: Path, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    aligned = {
        "model.base": str(runs / "opa-align" / "model"),
        "pairs.builder.path": str(runs / "opa-align" / "pairs" / "train.parquet"),
    }
    prepared = None
    for preset, smaller in FOLLOWING.items():
        project = tmp_path / f"{preset}.yaml"
        written = CliRunner().invoke(app, ["init", str(project), "--preset", preset, "--data", str(city)])
        assert written.exit_code == 0, written.output
        base = aligned if preset == "opa-dpo" else {"model.base": str(tiny("llava"))}
        changed = {**SMALL, "model.lora.rank": "2", "train.precision": "fp32", "runs": str(runs), **base, **smaller}
        options = [part for name, value in changed.items() for part in ("--set", f"{name}={value}")]
        run = runs / preset
        if prepared is not None:
            shutil.copytree(prepared / "prepared", run / "prepared")
            (run / "state").mkdir()
            shutil.copy2(prepared / "state" / "prepare.json", run / "state")
        for command in ("prepare", "pairs" if preset == "cityllava-dpo" else "train"):
            done = CliRunner().invoke(app, [command, str(project), *options])
            assert done.exit_code == 0, done.output
        prepared = run
        made = "pairs/train.parquet" if preset == "cityllava-dpo" else "model/model.safetensors"
        assert (run / made).is_file()
    assert "chosen answers cost the model" in (runs / "opa-dpo" / "training" / "report.json").read_text()


CURRICULUM = ("curriculum-1", "curriculum-2")


def test_a_curriculum_for_the_city_runs_from_captions_to_answers(
    city: Path, tiny: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the commands of docs/instructions.md; what is asked of a language model is tried in tests/curate."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "instruct.yaml").write_text("kinds: []\nimage_size: 128\n")
    for preset in CURRICULUM:
        data = city if preset == CURRICULUM[0] else "instructions"
        base = {"model.base": str(tiny("llava"))} if preset == CURRICULUM[0] else {}
        options = [part for name, value in (SMALL | base).items() for part in ("--set", f"{name}={value}")]
        for command in (
            ["init", f"{preset}.yaml", "--preset", preset, "--data", str(data)],
            ["prepare" if base else "run", f"{preset}.yaml", *options],
            ["train", f"{preset}.yaml", *options],
            ["data", "instruct", str(city), "instructions", "--settings", "instruct.yaml"],
        )[: 4 if base else 2]:
            done = CliRunner().invoke(app, command)
            assert done.exit_code == 0, (done.output, done.exception)
    assert (tmp_path / "runs" / "curriculum-2" / "report" / "index.html").is_file()


DRIVING = ("driving-teacher", "driving")


def test_the_driving_system_runs_from_its_teacher_to_its_table(
    tiny: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the commands of docs/driving.md, in the places that they name."""
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(
        app, ["world", "make", "data/driving-mixed", "--kind", "driving", "--train", "1", "--val", "1"]
    )
    assert made.exit_code == 0, made.output
    small = {"model.base": str(tiny("llava")), "train.max_steps": "1", "predict.max_new_tokens": "2"}
    own = {
        "driving-teacher": {"model.block_expansion.blocks": "1"},
        "driving": {"model.lora.rank": "2", "ladder.seeds": "[0]", "ladder.back": "false", "ladder.beside": "{}"},
    }
    for preset in DRIVING:
        done = CliRunner().invoke(app, ["init", f"{preset}.yaml", "--preset", preset, "--data", "data/driving-mixed"])
        assert done.exit_code == 0, done.output
        options = [part for name, value in (small | own[preset]).items() for part in ("--set", f"{name}={value}")]
        done = CliRunner().invoke(app, ["run", f"{preset}.yaml", *options])
        assert done.exit_code == 0, done.output
    table = (tmp_path / "runs" / "driving" / "ladder" / "table.csv").read_text()
    for step in ("student as it is", "dynamic prompts", "hybrid data", "LoRA", "distilled", "INT4"):
        assert f"{step}," in table


def test_every_preset_is_tried() -> None:
    assert set(FAMILY_OF) | set(SAME_RUN) | set(FOLLOWING) | {RESEARCHER, *DRIVING, *CURRICULUM} == set(PRESETS)


@pytest.mark.parametrize("preset", sorted(SAME_RUN))
def test_a_preset_of_another_size_is_the_same_run(preset: str, city: Path, tmp_path: Path) -> None:
    settings = []
    for number, name in enumerate((preset, SAME_RUN[preset])):
        project = tmp_path / f"{number}.yaml"
        written = CliRunner().invoke(app, ["init", str(project), "--preset", name, "--data", str(city)])
        assert written.exit_code == 0, written.output
        # 12 blocks are a fifth of the 60 layers of a model of 34B, which is what null takes.
        sized = ["name=any", "model.base=any", "model.block_expansion.blocks=null"]
        settings.append(load_settings(project, sized).model_dump())
    assert settings[0] == settings[1]
