"""Every fault of a checkpoint is one clear error, and what is saved is what plain transformers reads."""

from __future__ import annotations

import copy
import errno
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, Qwen3VLProcessor

from cityscribe.files import InputError
from cityscribe.models.load import load_model, load_processor, save_model
from tests.tiny_models import FAMILIES

Checkpoint = Callable[[str], Path]


def picture(seed: int = 0, size: tuple[int, int] = (48, 36)) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise)


def model_inputs(processor: Any, images: int = 2) -> dict[str, torch.Tensor]:
    content = [{"type": "image"}] * images + [{"type": "text", "text": "Describe the 2 road users."}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    return processor(images=[[picture(i) for i in range(images)]], text=[text], return_tensors="pt")


def test_a_saved_checkpoint_saves_to_the_same_bytes(tiny: Checkpoint, tmp_path: Path) -> None:
    for family in FAMILIES:
        base = tiny(family)
        for name in ("one", "two"):
            save_model(load_model(base, dtype=torch.float32), load_processor(base), tmp_path / family / name)
            base = tmp_path / family / name
        files = sorted(path.name for path in tiny(family).iterdir())
        for saved in ("one", "two"):
            assert sorted(path.name for path in (tmp_path / family / saved).iterdir()) == files
        weights = (tiny(family) / "model.safetensors").read_bytes()
        assert (tmp_path / family / "one" / "model.safetensors").read_bytes() == weights
        for name in files:
            one, two = ((tmp_path / family / saved / name).read_bytes() for saved in ("one", "two"))
            assert one == two, name
            assert str(tmp_path).encode() not in two, name


@pytest.mark.parametrize("family", FAMILIES)
def test_plain_transformers_computes_the_same(family: str, tiny: Checkpoint) -> None:
    inputs = model_inputs(load_processor(tiny(family)))
    ours = load_model(tiny(family), dtype=torch.float32)(**inputs).logits
    plain = AutoModelForImageTextToText.from_pretrained(tiny(family))(**inputs).logits
    assert torch.equal(ours, plain)
    assert ours.isfinite().all()


@pytest.mark.parametrize("family", ["llava", "llava-next", "gemma3"])
def test_plain_transformers_reads_the_processor(family: str, tiny: Checkpoint) -> None:
    ours = model_inputs(load_processor(tiny(family)))
    plain = model_inputs(AutoProcessor.from_pretrained(tiny(family), backend="pil"))
    assert ours.keys() == plain.keys()
    assert all(torch.equal(ours[name], plain[name]) for name in ours)


def test_the_settings_of_the_video_processor_survive(tiny: Checkpoint) -> None:
    written = json.loads((tiny("smolvlm") / "processor_config.json").read_text())
    assert written["video_processor"] == {"video_processor_type": "SmolVLMVideoProcessor", "num_frames": 8, "fps": 1}
    assert written["processor_class"] == "SmolVLMProcessor"


def test_a_processor_reaches_other_processes(tiny: Checkpoint) -> None:
    processor = load_processor(tiny("qwen3-vl"))
    expected = model_inputs(processor)
    for copied in (pickle.loads(pickle.dumps(processor)), copy.deepcopy(processor)):
        assert type(copied) is type(processor)
        assert isinstance(copied, Qwen3VLProcessor)
        inputs = model_inputs(copied)
        assert all(torch.equal(inputs[name], expected[name]) for name in expected)


def test_saving_replaces_a_checkpoint_whole(tiny: Checkpoint, tmp_path: Path) -> None:
    model, processor = load_model(tiny("llava"), dtype=torch.float32), load_processor(tiny("llava"))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"of an earlier run")
    (tmp_path / "model.partial").mkdir()
    (tmp_path / "model.partial" / "model.safetensors").write_bytes(b"of a killed run")
    save_model(model, processor, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert not (folder / "model-00001-of-00002.safetensors").exists()
    load_model(folder, dtype=torch.float32)


def test_a_checkpoint_that_cannot_be_written_leaves_nothing(
    tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = load_model(tiny("llava"), dtype=torch.float32), load_processor(tiny("llava"))
    save_model(model, processor, tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(processor), "save_pretrained", full)
    with pytest.raises(InputError, match=r"model: the checkpoint cannot be written: .*No space left"):
        save_model(model, processor, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before


def test_weights_come_in_the_type_asked_for(tiny: Checkpoint) -> None:
    model = load_model(tiny("llava"), dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert not model.training


def configure(part: str | None = None, **changes: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (config[part] if part else config).update(changes)
        (folder / "config.json").write_text(json.dumps(config))

    return apply


def cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def load_both(folder: Path) -> None:
    load_processor(folder)
    load_model(folder, dtype=torch.float32)


FULL = "full_attention"
FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no configuration": (remove("config.json"), "has no config.json"),
    "torn configuration": (cut("config.json", 40), r"config.json: line \d+, column \d+"),
    "empty configuration": (cut("config.json", 0), "config.json: line 1, column 1"),
    "no weights": (remove("model.safetensors"), r"has no \*.safetensors"),
    "pickled weights": (
        lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
        r"has no \*.safetensors",
    ),
    "torn header": (cut("model.safetensors", 2000), "model.safetensors: torn"),
    "torn weights": (cut("model.safetensors", -4), "model.safetensors: torn"),
    "torn generation settings": (cut("generation_config.json", 5), "generation_config.json: line"),
    "unknown architecture": (configure(model_type="brand-new"), "has no `brand-new`"),
    "code of its own": (configure(model_type="own", auto_map={"AutoConfig": "m.C"}), "never run"),
    "no vision": (configure(model_type="llama"), "type `llama` does not answer"),
    "wrong type": (configure("text_config", num_hidden_layers="four"), "num_hidden_layers"),
    "more layers": (configure("text_config", num_hidden_layers=5, layer_types=[FULL] * 5), "12 weights are missing"),
    "fewer layers": (configure("text_config", num_hidden_layers=3, layer_types=[FULL] * 3), "counts 3 layers"),
    "layers that disagree": (configure("text_config", num_hidden_layers=5), "must be equal"),
    "another width": (configure("text_config", intermediate_size=72), r"of shape \[.*, its config.json says \["),
    "no image processor": (remove("processor_config.json"), "has no image processor"),
    "torn processor": (cut("processor_config.json", 9), "processor_config.json: line"),
    "no tokenizer": (remove("tokenizer.json"), "has no tokenizer"),
    "no chat template": (remove("chat_template.jinja"), "has no chat template"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_that_names_the_checkpoint(fault: str, tiny: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny("qwen2.5-vl"), folder)
    breaks, message = FAULTS[fault]
    breaks(folder)
    with pytest.raises(InputError, match=message) as raised:
        load_both(folder)
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("base", ["runs/none/model", "/nowhere", "../nowhere", "a b"])
def test_a_folder_that_is_missing_is_not_looked_for_on_the_hub(base: str) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_model(base, dtype=torch.float32)


def test_a_file_is_not_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="is a file"):
        load_model(tmp_path / "model.safetensors", dtype=torch.float32)
