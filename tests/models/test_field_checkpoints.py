"""Checkpoints as they lie on other people's disks: with an adapter beside them, with old processors, with NaN."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, LlavaNextProcessor, LlavaProcessor, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.models import saved
from cityscribe.models.load import load_model, load_processor, save_model
from tests.models.test_load import model_inputs

Checkpoint = Callable[[str], Path]


@pytest.fixture
def checkpoint(tiny: Checkpoint, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny("llava"), tmp_path / "checkpoint"))


def put_adapter(folder: Path) -> None:
    """Write an adapter that changes the output into the folder of its model, as peft does."""
    wrapped = get_peft_model(
        AutoModelForImageTextToText.from_pretrained(folder),
        LoraConfig(r=2, target_modules=".*language_model.*v_proj", init_lora_weights=False),
    )
    wrapped.save_pretrained(str(folder))


def test_weights_are_used_without_the_adapter_beside_them_and_it_is_said(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = model_inputs(load_processor(checkpoint))
    expected = load_model(checkpoint, dtype=torch.float32)(**inputs).logits
    put_adapter(checkpoint)
    adapted = AutoModelForImageTextToText.from_pretrained(checkpoint)(**inputs).logits
    assert not torch.equal(adapted, expected), "an adapter that changes nothing proves nothing"
    with caplog.at_level(logging.WARNING):
        model = load_model(checkpoint, dtype=torch.float32)
    assert f"{checkpoint}: an adapter lies beside the weights" in caplog.text
    assert torch.equal(model(**inputs).logits, expected)
    save_model(model, load_processor(checkpoint), tmp_path / "saved")
    assert torch.equal(AutoModelForImageTextToText.from_pretrained(tmp_path / "saved")(**inputs).logits, expected)


def test_an_adapter_alone_is_refused_with_the_name_of_its_base(checkpoint: Path) -> None:
    put_adapter(checkpoint)
    (checkpoint / "config.json").unlink()
    with pytest.raises(InputError, match=rf"{checkpoint}: an adapter of `{checkpoint}` without a model"):
        load_model(checkpoint, dtype=torch.float32)


@pytest.mark.parametrize("family", ["llava", "llava-next", "llava-onevision"])
def test_an_old_processor_takes_from_the_model_what_it_leaves_out(
    family: str, tiny: Checkpoint, tmp_path: Path
) -> None:
    expected = model_inputs(load_processor(tiny(family)))
    folder = Path(shutil.copytree(tiny(family), tmp_path / family))
    stored = json.loads((folder / "processor_config.json").read_text())
    for name in ("patch_size", "vision_feature_select_strategy", "num_additional_image_tokens", "num_image_tokens"):
        stored.pop(name, None)
    (folder / "processor_config.json").write_text(json.dumps(stored))
    found = model_inputs(load_processor(folder))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    save_model(load_model(folder, dtype=torch.float32), load_processor(folder), tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "processor_config.json").read_text()) == json.loads(
        (tiny(family) / "processor_config.json").read_text()
    )


def test_what_a_processor_says_itself_stays(checkpoint: Path) -> None:
    stored = json.loads((checkpoint / "processor_config.json").read_text())
    (checkpoint / "processor_config.json").write_text(json.dumps({**stored, "num_additional_image_tokens": 0}))
    assert vars(load_processor(checkpoint))["num_additional_image_tokens"] == 0


@pytest.mark.parametrize(("named", "expected"), [("LlavaNextProcessor", LlavaNextProcessor), ("Gone", LlavaProcessor)])
def test_a_processor_is_of_the_class_that_its_checkpoint_names(
    named: str, expected: type[ProcessorMixin], checkpoint: Path
) -> None:
    stored = json.loads((checkpoint / "processor_config.json").read_text())
    (checkpoint / "processor_config.json").write_text(json.dumps({**stored, "processor_class": named}))
    assert type(load_processor(checkpoint)) is expected


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is what it lacks here")
def test_a_class_that_cannot_run_here_is_refused_and_no_other_taken(checkpoint: Path) -> None:
    stored = json.loads((checkpoint / "processor_config.json").read_text())
    (checkpoint / "processor_config.json").write_text(json.dumps({**stored, "processor_class": "PixtralProcessor"}))
    with pytest.raises(InputError, match=rf"{checkpoint}: its processor: .*PixtralProcessor requires the Torchvision"):
        load_processor(checkpoint)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers_are_named(value: float, checkpoint: Path) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    name = next(name for name in weights if name.endswith("layers.1.mlp.up_proj.weight"))
    weights[name][3, 4] = value
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=rf"{checkpoint}: `.*layers\.1\.mlp\.up_proj\.weight` .* not finite numbers"):
        load_model(checkpoint, dtype=torch.float32)


def spoil_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    weights[name] = weights[name] + 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def drop_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights.popitem()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def drop_config(folder: Path) -> None:
    (folder / "config.json").unlink()


@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
@pytest.mark.parametrize("spoil", [spoil_weights, drop_a_weight, drop_config])
def test_what_does_not_reload_as_the_model_is_not_saved(
    spoil: Callable[[Path], None], small: bool, tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = load_model(tiny("llava"), dtype=torch.float32), load_processor(tiny("llava"))
    if not small:
        monkeypatch.setattr(saved, "SMALL", 0)
    save_model(model, processor, tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    save_pretrained = type(model).save_pretrained

    def spoilt(self: Any, folder: Path, **kwargs: Any) -> None:
        save_pretrained(self, folder, **kwargs)
        spoil(folder)

    monkeypatch.setattr(type(model), "save_pretrained", spoilt)
    with pytest.raises(InputError, match=rf"{tmp_path}/model: what was saved"):
        save_model(model, processor, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before
