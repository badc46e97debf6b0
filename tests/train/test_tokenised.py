"""Tokens on disk: the same as in memory, encoded once, and never those of something else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.records import Sample, message, text_block
from cityscribe.tokens.encode import Encoder
from cityscribe.train import tokenised
from cityscribe.train.groups import media_inputs, plan_groups
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tokenised import Teacher, corpus_key
from cityscribe.tree import Forest
from tests.train.conftest import City

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]

BARE = Sample((message("user", text_block("Hello?")), message("assistant", text_block("Yes."))), (), "bare")


@pytest.fixture
def own(city: City, tmp_path: Path) -> City:
    """A city whose files a test may change."""
    return City(Path(shutil.copytree(city.root, tmp_path / "city")), city.samples)


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the samples that are encoded."""
    names: list[str] = []
    teach = Encoder.teach

    def counted(self: Encoder, name: str, *args: object) -> object:
        names.append(name)
        return teach(self, name, *args)

    monkeypatch.setattr(Encoder, "teach", counted)
    return names


def equal(one: Forest, other: Forest) -> bool:
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(Forest))


@pytest.mark.parametrize("family", ["llava", "qwen2.5-vl", "gemma3"])
@pytest.mark.parametrize("share", [True, False])
def test_groups_from_disk_equal_those_from_memory(
    family: str, share: bool, load: Load, city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taught: list
) -> None:
    monkeypatch.setattr(tokenised, "BLOCK", 2)
    encoder = Encoder(*load(family))
    settings = TrainSettings(share_prefix=share)
    samples = [*city.samples, BARE]
    expected, _ = plan_groups(samples, city.root, encoder, settings)
    written, _ = plan_groups(samples, city.root, encoder, settings, folder=tmp_path)
    assert len(list(tmp_path.glob("*/*.safetensors"))) == 2
    taught.clear()
    read, _ = plan_groups(samples, city.root, encoder, settings, folder=tmp_path)
    assert taught == []
    for groups in (written, read):
        assert groups.outlines == expected.outlines
        for one, other in zip(groups, expected, strict=True):
            assert all(map(equal, one.forests, other.forests))
            assert (one.samples, one.media, one.members, one.units) == (
                other.samples,
                other.media,
                other.members,
                other.units,
            )
            for mine, its in zip(one.token_inputs, other.token_inputs, strict=True):
                assert {name: values.tolist() for name, values in mine.items()} == {
                    name: values.tolist() for name, values in its.items()
                }
            assert media_inputs(one, encoder, city.root, settings).keys() == (other.inputs or {}).keys()


def test_what_was_encoded_before_a_stop_is_not_encoded_again(
    load: Load, city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taught: list
) -> None:
    monkeypatch.setattr(tokenised, "BLOCK", 1)
    encoder = Encoder(*load("llava"))

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plan_groups(city.samples, city.root, encoder, TrainSettings(), stop, folder=tmp_path)
    taught.clear()
    plan_groups(city.samples, city.root, encoder, TrainSettings(), folder=tmp_path)
    assert taught == [sample.name for sample in city.samples[10:]]


def test_tokens_are_known_by_all_that_they_depend_on(load: Load, own: City) -> None:
    model, processor = load("llava")

    def key(samples: tuple[Sample, ...] = own.samples, images: bool = True) -> str:
        return corpus_key([samples], Teacher(Encoder(model, processor), own.root, TrainSettings(images=images)))

    keys = [key(), key(own.samples[1:]), key(images=False)]
    Image.new("RGB", (8, 8)).save(own.root / own.samples[0].images[0])
    keys.append(key())
    processor.chat_template += " "
    keys.append(key())
    model.config.vision_config.patch_size = 4
    keys.append(key())
    assert len(set(keys)) == len(keys)
    assert key() == keys[-1]


def test_an_image_that_changes_under_a_training_is_an_error(load: Load, own: City, tmp_path: Path) -> None:
    encoder = Encoder(*load("llava"))
    plan_groups(own.samples, own.root, encoder, TrainSettings(), folder=tmp_path / "tokens")
    groups, _ = plan_groups(own.samples, own.root, encoder, TrainSettings(), folder=tmp_path / "tokens")
    Image.new("RGB", (60, 40)).save(own.root / groups[0].samples[0].images[0])
    with pytest.raises(InputError, match=r"event_0/.*1 of its images are not what they were"):
        media_inputs(groups[0], encoder, own.root, TrainSettings())


def test_a_torn_file_is_named(load: Load, city: City, tmp_path: Path) -> None:
    encoder = Encoder(*load("llava"))
    plan_groups(city.samples, city.root, encoder, TrainSettings(), folder=tmp_path)
    (block,) = tmp_path.glob("*/*.safetensors")
    block.write_bytes(block.read_bytes()[:100])
    with pytest.raises(InputError, match=r"groups-00000000\.safetensors: not a block of tokens"):
        plan_groups(city.samples, city.root, encoder, TrainSettings(), folder=tmp_path)
