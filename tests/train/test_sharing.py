"""What is wrong with how processes are to share a model is said before anything trains."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, ProcessorMixin, TrainingArguments

from cityscribe.files import InputError
from cityscribe.models.parts import decoder
from cityscribe.project import resolve
from cityscribe.train import sharing
from cityscribe.train.settings import TrainSettings
from cityscribe.train.sharing import (
    SEQUENCE_PARALLEL,
    check_shares,
    deepspeed_config,
    held_elements,
    resolve_sharing,
    sharing_arguments,
)

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]


def test_one_process_shares_nothing() -> None:
    for wanted in ("auto", "ddp", "fsdp2"):
        assert resolve_sharing(TrainSettings(distributed=wanted)) == "alone"


def test_several_processes_share_as_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert resolve_sharing(TrainSettings()) == "ddp"
    assert resolve_sharing(TrainSettings(distributed="fsdp2")) == "fsdp2"


def test_deepspeed_that_is_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sharing, "find_spec", lambda name: None)
    for settings in (TrainSettings(distributed="deepspeed"), TrainSettings(deepspeed=tmp_path / "zero.json")):
        with pytest.raises(InputError, match=r"pip install 'cityscribe\[deepspeed\]'"):
            resolve_sharing(settings)
    with pytest.raises(InputError, match="contradict"):
        resolve({"data": {"path": "x"}, "train": {"distributed": "ddp", "deepspeed": "zero.json"}})


@pytest.mark.parametrize("name", SEQUENCE_PARALLEL)
def test_sequences_divided_among_processes_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "2")
    with pytest.raises(InputError, match=rf"{name}=2: .*not who sees whom in a tree.*offload_activations"):
        resolve_sharing(TrainSettings())
    monkeypatch.setenv(name, "1")
    assert resolve_sharing(TrainSettings()) == "alone"


def test_the_deepspeed_configuration_is_zero_3_or_that_of_a_file(load: Load, tmp_path: Path) -> None:
    settings = TrainSettings(distributed="deepspeed")
    arguments = sharing_arguments("deepspeed", settings, load("llava")[0], torch.bfloat16)
    assert arguments["deepspeed"]["zero_optimization"]["stage"] == 3
    assert arguments["bf16"] is True
    file = tmp_path / "zero.json"
    with pytest.raises(InputError, match=r"zero\.json: No such file"):
        deepspeed_config(TrainSettings(deepspeed=file))
    file.write_text("{")
    with pytest.raises(InputError, match=r"zero\.json: not JSON"):
        deepspeed_config(TrainSettings(deepspeed=file))
    file.write_text(json.dumps({"zero_optimization": {"stage": 2}}))
    assert deepspeed_config(TrainSettings(deepspeed=file))["zero_optimization"]["stage"] == 2


@pytest.mark.parametrize("family", ["llava", "llava-onevision", "qwen3-vl", "smolvlm", "gemma3"])
def test_fsdp2_divides_layers_that_the_model_has(family: str, load: Load, tmp_path: Path) -> None:
    model, _ = load(family)
    arguments: dict[str, Any] = sharing_arguments("fsdp2", TrainSettings(), model, torch.float32)
    layers = arguments["fsdp_config"]["transformer_layer_cls_to_wrap"]
    assert type(decoder(model).layers[0]).__name__ in layers  # type: ignore[index]
    assert set(layers) <= {type(module).__name__ for module in model.modules()}
    assert TrainingArguments(str(tmp_path), use_cpu=True, **arguments).fsdp_plugin_args["fsdp_version"] == 2


def test_a_model_that_was_not_divided_is_an_error(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = load("llava")
    held, total = held_elements(model)
    assert held == total == sum(parameter.numel() for parameter in model.parameters())
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(InputError, match=r"process 0 holds .*; set it to ddp or deepspeed"):
        check_shares(model)
