"""Every preset is a project file that validates, says where its values come from, and takes any folder of data."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.files import InputError
from cityscribe.models.tuning.prepare import prepare_tuning
from cityscribe.presets import PRESETS, preset_text
from cityscribe.project import load_settings, resolve
from tests.models.vlm.llama_vid import llama_vid

WANTED = {
    "cityllava-34b",
    "llava-1.5-7b",
    "llava-onevision-7b",
    "cityllava-7b",
    "qwen2.5-vl-7b",
    "qwen2.5-vl-3b",
    "qwen3-vl-2b",
    "smolvlm-256m",
    "smolvlm-500m",
    "llava-two-stage-1",
    "llava-two-stage-2",
    "llama-vid-1",
    "llama-vid-2",
    "llama-vid-3",
    "tinygpt-v",
    "curriculum-1",
    "curriculum-2",
    "cityllava-dpo",
    "opa-align",
    "opa-dpo",
    "grpo-attributes",
    "driving",
    "driving-teacher",
}


def test_the_presets_are_there() -> None:
    assert set(PRESETS) == WANTED


@pytest.mark.parametrize("name", sorted(WANTED))
def test_a_preset_is_a_valid_project_file_with_its_sources(name: str, tmp_path: Path) -> None:
    project = tmp_path / "project.yaml"
    result = CliRunner().invoke(app, ["init", str(project), "--preset", name, "--data", "/data/WTS"])
    assert result.exit_code == 0, result.output
    found = load_settings(project)
    assert found.name == name
    assert found.data.path == Path("/data/WTS")
    head = project.read_text().partition("\nname:")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    assert "repository" in head or "arXiv" in head


@settings(max_examples=25)
@given(path=st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1))
def test_any_folder_of_data_comes_back(path: str) -> None:
    values = yaml.safe_load(preset_text("cityllava-34b", path))
    assert values["data"]["path"] == path


def test_the_values_of_the_paper() -> None:
    found = resolve(yaml.safe_load(preset_text("cityllava-34b", "data")))
    assert (found.train.lr, found.train.epochs, found.train.max_tokens) == (2e-4, 1, 2048)  # Table 3
    assert (found.model.method, found.model.block_expansion.blocks) == ("block-expansion", 12)
    assert found.model.tiles is False
    assert found.prepare.images == ("local", "global")
    assert (found.prepare.lone_view, found.prepare.vehicle_view_box) == (0.0, "draw")  # Eq. 6; section 3.2.3
    assert found.train.distributed == "fsdp2"  # what ZeRO-3 divides
    assert found.predict.order == "vehicle-pedestrian"


def test_the_second_stage_starts_where_the_first_ends() -> None:
    first, second = (resolve(yaml.safe_load(preset_text(f"llava-two-stage-{n}", "data"))) for n in (1, 2))
    assert first.model.method == "connector"
    assert Path(second.model.base) == first.run_dir / "model"
    assert second.model.freeze == ("vision_tower",)


def test_the_three_stages_of_llama_vid() -> None:
    """Section 3 of the published scripts: what trains, at which rate and length, and positions times 16 at last."""
    stages = [resolve(yaml.safe_load(preset_text(f"llama-vid-{n}", "data"))) for n in (1, 2, 3)]
    assert [stage.train.lr for stage in stages] == [1e-3, 2e-5, 2e-5]
    assert [stage.train.max_tokens for stage in stages] == [2048, 2048, 65536]
    assert [stage.model.stretch for stage in stages] == [None, None, 16]
    assert [Path(stage.model.base) for stage in stages[1:]] == [stage.run_dir / "model" for stage in stages[:2]]
    model, _ = llama_vid()
    trains = []
    for stage in stages:
        report = prepare_tuning(model, stage.model)
        trains.append({part.part for part in report.parts if part.trainable})
    assert trains == [
        {"connector", "context"},
        {"connector", "context", "text_decoder", "embeddings", "decoder", "head"},
        {"connector", "embeddings", "decoder", "head"},
    ]


def test_an_unknown_preset_lists_those_there_are() -> None:
    with pytest.raises(InputError, match="did you mean cityllava-"):
        preset_text("cityllava", "data")
