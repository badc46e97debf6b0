"""Checkpoints: everything comes back bit for bit, and what a kill leaves behind is never taken for whole."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import TrainerState, get_scheduler

from cityscribe.files import InputError
from cityscribe.train import checkpoints
from cityscribe.train.checkpoints import (
    check_run,
    latest_checkpoint,
    load_optimizer,
    load_random_state,
    load_weights,
    save_checkpoint,
)

RUN = {"seed": 1, "train.lr": 0.1, "betas": (1, 2)}


class Learner:
    """A frozen and a trained layer, a buffer that steps change, and an optimizer for what trains."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        self.model[0].requires_grad_(False)
        self.optimizer = torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad], lr=0.1)
        self.scheduler = get_scheduler("cosine", self.optimizer, num_warmup_steps=2, num_training_steps=9)
        self.state = TrainerState()

    def step(self) -> None:
        loss = (self.model(torch.randn(5, 3)) * random.random() * np.random.random()).square().mean()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        self.state.global_step += 1

    def save(self, folder: Path, keep: int = 2) -> Path:
        return save_checkpoint(folder, self.state, self.model, self.optimizer, self.scheduler, RUN, keep)

    def load(self, checkpoint: Path) -> None:
        load_weights(checkpoint, self.model)
        load_optimizer(checkpoint, self.optimizer, self.scheduler)
        load_random_state(checkpoint)


def test_a_learner_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    one = Learner(0)
    for _ in range(3):
        one.step()
    checkpoint = one.save(tmp_path)
    for _ in range(3):
        one.step()
    other = Learner(0)
    other.step()
    other.load(checkpoint)
    for _ in range(3):
        other.step()
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name
    assert one.scheduler.get_last_lr() == other.scheduler.get_last_lr()


def test_nothing_is_pickled(tmp_path: Path) -> None:
    learner = Learner(0)
    learner.step()
    assert {path.suffix for path in learner.save(tmp_path).iterdir()} == {".safetensors", ".json"}


def test_the_newest_whole_checkpoints_are_kept(tmp_path: Path) -> None:
    learner = Learner(0)
    assert latest_checkpoint(tmp_path / "none") is None
    for _ in range(11):
        learner.step()
        learner.save(tmp_path, keep=2)
    (tmp_path / "checkpoint-12.partial").mkdir()
    (tmp_path / "checkpoint-12.partial" / "model.safetensors").touch()
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-11"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-11"]


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = Learner(0)
    learner.step()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_text", full)
    with pytest.raises(InputError, match=r"checkpoint-1: cannot be written: .*No space left"):
        learner.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_run_or_model_is_refused(tmp_path: Path) -> None:
    learner = Learner(0)
    learner.step()
    checkpoint = learner.save(tmp_path)
    check_run(checkpoint, RUN)
    with pytest.raises(InputError, match=r"another training \(extra, seed differ\)"):
        check_run(checkpoint, {**RUN, "seed": 2, "extra": 1})
    learner.model[0].requires_grad_(True)
    with pytest.raises(InputError, match="weights of another model"):
        load_weights(checkpoint, learner.model)
    (checkpoint / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(InputError, match=r"model\.safetensors: cannot be read"):
        load_weights(checkpoint, learner.model)
