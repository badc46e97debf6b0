"""What trains under each method, and what the report says about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from cityscribe.files import InputError
from cityscribe.models.load import load_model, save_model
from cityscribe.models.parts import connector, decoder_layers, named_parts, vision_tower
from cityscribe.models.seams import TUNING
from cityscribe.models.settings import BlockExpansionSettings, LoraSettings, ModelSettings
from cityscribe.models.tuning.prepare import TuningReport, load_for_tuning, prepare_tuning
from tests.models.test_block_expansion import learn
from tests.tiny_models import FAMILIES

Checkpoint = Callable[[str], Path]


def tuned(family: str, method: str, tiny: Checkpoint) -> tuple[PreTrainedModel, TuningReport]:
    model = load_model(tiny(family), dtype=torch.float32)
    settings = ModelSettings(
        method=method, block_expansion=BlockExpansionSettings(blocks=2), lora=LoraSettings(rank=2, alpha=4)
    )
    return model, prepare_tuning(model, settings)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", [method for method in TUNING if method not in ("dora", "qlora")])
def test_the_report_counts_every_parameter_once(family: str, method: str, tiny: Checkpoint) -> None:
    model, report = tuned(family, method, tiny)
    assert report.total == sum(p.numel() for p in model.parameters())
    assert report.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert {"vision_tower", "connector", "decoder", "embeddings"} <= {part.part for part in report.parts}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_connector_alone(family: str, tiny: Checkpoint) -> None:
    model, report = tuned(family, "connector", tiny)
    between = {id(p) for module in connector(model) for p in module.parameters()}
    assert between
    assert {id(p) for p in model.parameters() if p.requires_grad} == between
    assert [part.part for part in report.parts if part.trainable] == ["connector"]


@pytest.mark.parametrize("family", FAMILIES)
def test_block_expansion_and_lora_leave_the_rest_frozen(family: str, tiny: Checkpoint) -> None:
    for method in ("block-expansion", "lora"):
        model, report = tuned(family, method, tiny)
        assert [part.part for part in report.parts if part.trainable] == ["new"]
        tower = vision_tower(model)
        assert tower is not None
        assert not any("lora" in name for name, _ in tower.named_parameters())


def test_parts_are_taken_out_and_added(tiny: Checkpoint) -> None:
    model = load_model(tiny("qwen2.5-vl"), dtype=torch.float32)
    report = prepare_tuning(model, ModelSettings(method="full", freeze=("vision_tower", "head")))
    assert {part.part for part in report.parts if not part.trainable} == {"vision_tower", "head"}
    assert all(p.requires_grad for module in connector(model) for p in module.parameters()), "it lies inside the tower"

    model = load_model(tiny("qwen2.5-vl"), dtype=torch.float32)
    report = prepare_tuning(model, ModelSettings(method="lora", lora=LoraSettings(rank=2), unfreeze=("connector",)))
    assert {part.part for part in report.parts if part.trainable} == {"connector", "new"}


def test_a_head_that_is_tied_cannot_be_frozen_alone(tiny: Checkpoint) -> None:
    model = load_model(tiny("llava"), dtype=torch.float32)
    with pytest.raises(InputError, match=r"model\.freeze: .* has no head of its own .*tied"):
        prepare_tuning(model, ModelSettings(method="full", freeze=("head",)))


def test_the_second_stage_starts_from_the_checkpoint_of_the_first(tiny: Checkpoint, tmp_path: Path) -> None:
    first = ModelSettings(base=str(tiny("llava")), method="connector")
    model, processor = load_for_tuning(first, dtype=torch.float32)
    prepare_tuning(model, first)
    learn(model)
    save_model(model, processor, tmp_path / "model")
    second = ModelSettings(base=str(tmp_path / "model"), method="full", freeze=("vision_tower",))
    again, _ = load_for_tuning(second, dtype=torch.float32)
    aligned, untouched = dict(named_parts(again)), dict(named_parts(load_model(tiny("llava"), dtype=torch.float32)))
    for part, parameters in named_parts(model):
        assert all(map(torch.equal, aligned[part], parameters))
        assert all(map(torch.equal, aligned[part], untouched[part])) == (part != "connector" or not parameters)
    assert [part.part for part in prepare_tuning(again, second).parts if not part.trainable] == ["vision_tower"]


def test_everything(tiny: Checkpoint) -> None:
    _, report = tuned("llava", "full", tiny)
    assert report.trainable == report.total


def test_a_model_without_a_connector_cannot_train_it_alone(tiny: Checkpoint) -> None:
    model = load_model(tiny("llava"), dtype=torch.float32)
    model.model.bridge = model.model.multi_modal_projector
    del model.model.multi_modal_projector
    with pytest.raises(InputError, match="no connector"):
        prepare_tuning(model, ModelSettings(method="connector"))


def test_the_report_is_a_table(tiny: Checkpoint) -> None:
    model, report = tuned("llava", "block-expansion", tiny)
    lines = str(report).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split() == ["part", "parameters", "trains"]
    layer = sum(p.numel() for p in decoder_layers(model)[0].parameters())
    assert any(line.split() == ["new", f"{2 * layer:,}", f"{2 * layer:,}"] for line in lines)
    assert lines[-1].startswith("all (block-expansion)")
