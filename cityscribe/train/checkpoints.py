"""Checkpoints to resume a training from: what trains, the optimizer, the schedule, the random numbers, how far it came.

A checkpoint is a folder `checkpoint-STEP`, written under another name and renamed when it is whole: a run that is
killed at any moment leaves only checkpoints that can be resumed from, and folders that are known to be torn. Tensors
are stored as safetensors and everything else as JSON, so that nothing is ever unpickled. Frozen weights are not stored:
they are those of the model that the training began with.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerState

from cityscribe.records import InputError, read_json, write_json

NAME = re.compile(r"checkpoint-(\d+)")
STATE = "trainer_state.json"  # the name under which the Trainer looks for it


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint in a folder, or None. Torn ones are removed."""
    for torn in folder.glob("*.partial"):
        shutil.rmtree(torn)
    return max(_whole(folder), key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def save_checkpoint(
    folder: Path,
    state: TrainerState,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
    run: dict[str, Any],
    keep: int,
) -> Path:
    """Write the checkpoint of the step that `state` has reached, and remove all but the newest `keep`.

    `run` says which training it belongs to. Raises InputError where it cannot be written, with nothing left of it.
    """
    checkpoint = folder / f"checkpoint-{state.global_step}"
    partial = checkpoint.with_name(checkpoint.name + ".partial")
    optimizer_state = optimizer.state_dict()
    random_tensors, random_values = _random_state()
    try:
        partial.mkdir(parents=True)
        save_file({name: value.contiguous() for name, value in _changing(model).items()}, partial / "model.safetensors")
        save_file(
            {
                f"{number}.{key}": value
                for number, values in optimizer_state["state"].items()
                for key, value in values.items()
            },
            partial / "optimizer.safetensors",
        )
        save_file(random_tensors, partial / "random.safetensors")
        write_json(partial / "random.json", random_values)
        write_json(partial / "optimizer.json", optimizer_state["param_groups"])
        write_json(partial / "scheduler.json", scheduler.state_dict())
        write_json(partial / "run.json", run)
        state.save_to_json(str(partial / STATE))
        os.replace(partial, checkpoint)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise InputError(f"{checkpoint}: cannot be written: {error}") from error
    for old in sorted(_whole(folder), key=step_of)[:-keep]:
        torn = old.with_name(old.name + ".partial")
        os.replace(old, torn)  # first, so that a kill while it is being removed does not leave half of it
        shutil.rmtree(torn)
    return checkpoint


def check_run(checkpoint: Path, run: dict[str, Any]) -> None:
    """Raises InputError where a checkpoint belongs to another training than `run` describes."""
    before = read_json(checkpoint / "run.json")
    current = json.loads(json.dumps(run))
    differing = sorted(key for key in before.keys() | current.keys() if before.get(key) != current.get(key))
    if differing:
        raise InputError(
            f"{checkpoint.parent}: holds checkpoints of another training ({', '.join(differing)} differ); "
            "remove the folder to begin anew"
        )


def load_weights(checkpoint: Path, model: nn.Module) -> None:
    """Put the weights of a checkpoint in the place of those that train."""
    stored = _load(checkpoint / "model.safetensors")
    targets = _changing(model)
    if stored.keys() != targets.keys():
        raise InputError(f"{checkpoint}: holds the weights of another model, or of another choice of what trains")
    with torch.no_grad():
        for name, target in targets.items():
            target.copy_(stored[name])


def load_optimizer(checkpoint: Path, optimizer: torch.optim.Optimizer, scheduler: Any) -> None:
    """Put the optimizer and the schedule back to where they were."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _load(checkpoint / "optimizer.safetensors").items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": read_json(checkpoint / "optimizer.json")})
    scheduler.load_state_dict(read_json(checkpoint / "scheduler.json"))


def load_random_state(checkpoint: Path) -> None:
    """Put Python's, NumPy's and torch's random numbers back to where they were."""
    tensors = _load(checkpoint / "random.safetensors")
    values = read_json(checkpoint / "random.json")
    version, numbers, gauss = values["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state((*values["numpy"][:1], tensors["numpy"].numpy(), *values["numpy"][1:]))
    torch.set_rng_state(tensors["cpu"])
    for device in range(torch.cuda.device_count()):
        if f"cuda.{device}" in tensors:
            torch.cuda.set_rng_state(tensors[f"cuda.{device}"], device)


def _random_state() -> tuple[dict[str, Tensor], dict[str, Any]]:
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    tensors = {"cpu": torch.get_rng_state(), "numpy": torch.from_numpy(np.asarray(keys))}
    tensors |= {f"cuda.{device}": torch.cuda.get_rng_state(device) for device in range(torch.cuda.device_count())}
    return tensors, {"python": random.getstate(), "numpy": [name, position, has_gauss, gauss]}


def _changing(model: nn.Module) -> dict[str, Tensor]:
    """What a step can change: parameters that train, and the buffers that belong to the model's state."""
    stored = model.state_dict(keep_vars=True)
    trains = {name: parameter.data for name, parameter in model.named_parameters() if parameter.requires_grad}
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in stored}
    return trains | buffers


def _whole(folder: Path) -> list[Path]:
    return [path for path in folder.glob("checkpoint-*") if NAME.fullmatch(path.name)]


def _load(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file}: cannot be read: {error}") from error
