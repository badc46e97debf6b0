"""Checkpoints to resume a training from: what trains, the optimizer, the schedule, the random numbers, how far it came.

A checkpoint is a folder `checkpoint-STEP`, written under another name and renamed when it is whole: a run that is
killed at any moment leaves only checkpoints that can be resumed from, and folders that are known to be torn. Tensors
are stored as safetensors and everything else as JSON, so that nothing is ever unpickled. Frozen weights are not stored:
they are those of the model that the training began with.

Where several processes share the model, each stores its part (`shards`), and the random numbers of each are there. So a
training can also go on with another number of them; only what is drawn at random (dropout) is other than it would be.
"""

from __future__ import annotations

import json
import logging
import os
import random
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerState

from cityscribe.files import REMOVED, InputError, read_json, remove_folder, write_text
from cityscribe.train import processes
from cityscribe.train.shards import divide, load_shards, save_shards, shard_names

log = logging.getLogger(__name__)

NAME = re.compile(r"checkpoint-(\d+)")
TENSORS = ("model.safetensors", "optimizer.safetensors")
VALUES = ("random.json", "optimizer.json", "scheduler.json", "run.json")
SHARDS = "shards"  # folder of what processes share, where they do
STATE = "trainer_state.json"  # the name under which the Trainer looks for it


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint in a folder, or None. Torn and damaged ones are removed, the latter with a warning:
    the training goes on from the one before."""
    if processes.is_first():
        for torn in (*folder.glob("*.partial"), *folder.glob(f"*{REMOVED}")):
            shutil.rmtree(torn)
        for checkpoint in sorted(_whole(folder), key=step_of, reverse=True):
            if not (why := why_damaged(checkpoint)):
                break
            log.warning(f"{why}; the training goes on from the checkpoint before {checkpoint.name}")
            remove_folder(checkpoint)
    processes.wait()
    return max(_whole(folder), key=step_of, default=None)


def why_damaged(checkpoint: Path) -> str:
    """What is wrong with the files of a checkpoint; empty where they can be read."""
    try:
        for path in (*(checkpoint / name for name in TENSORS), *(checkpoint / SHARDS).glob("*.safetensors")):
            with safe_open(path, framework="pt") as tensors:
                tensors.keys()
        for name in (*VALUES, STATE):
            read_json(checkpoint / name)
    except (OSError, SafetensorError, InputError) as error:
        return str(error) if str(checkpoint) in str(error) else f"{checkpoint}: {error}"
    return ""


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def steps_of_checkpoints(folder: Path) -> list[int]:
    """The steps of the whole checkpoints in a folder, in order."""
    return sorted(step_of(checkpoint) for checkpoint in _whole(folder))


def save_checkpoint(
    folder: Path,
    state: TrainerState,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
    run: dict[str, object],
    keep: int,
) -> Path:
    """Write the checkpoint of the step that `state` has reached, and remove all but the newest `keep`.

    `run` says which training it belongs to. All processes have to call this together; each writes its part of what they
    share, the first of them all else. Raises InputError where it cannot be written, with nothing left of it.
    """
    checkpoint = folder / f"checkpoint-{state.global_step}"
    partial = checkpoint.with_name(checkpoint.name + ".partial")
    optimizer_state = optimizer.state_dict()
    state_of = optimizer_state["state"].items()
    moments = {f"{number}.{key}": value for number, values in state_of for key, value in values.items()}
    (weights, shared_weights), (moments, shared_moments) = divide(changing(model)), divide(moments)
    random_states = processes.from_all(_random_state())
    if shared_weights or shared_moments:
        shared = {f"model.{name}": value for name, value in shared_weights.items()}
        _save_shards(partial, shared | {f"optimizer.{name}": value for name, value in shared_moments.items()})
    if not processes.is_first():
        processes.wait()
        return checkpoint
    try:
        partial.mkdir(parents=True, exist_ok=True)
        for name, tensors in zip(TENSORS, (weights, moments), strict=True):
            save_file({key: value.cpu().contiguous() for key, value in tensors.items()}, partial / name)
        values = (random_states, optimizer_state["param_groups"], scheduler.state_dict(), run)
        for name, value in zip(VALUES, values, strict=True):
            # On one line: states of random numbers are thousands of them, and Python indents slowly.
            write_text(partial / name, json.dumps(value, sort_keys=True) + "\n")
        state.save_to_json(str(partial / STATE))
        os.replace(partial, checkpoint)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise InputError(f"{checkpoint}: cannot be written: {error}") from error
    for old in sorted(_whole(folder), key=step_of)[:-keep]:
        remove_folder(old)
    processes.wait()
    return checkpoint


def _save_shards(partial: Path, shared: dict[str, Tensor]) -> None:
    """Each process its part, in a folder that the first one makes."""
    if processes.is_first():
        (partial / SHARDS).mkdir(parents=True, exist_ok=True)
    processes.wait()
    try:
        save_shards(partial / SHARDS, shared)
    except InputError:
        processes.wait()
        if processes.is_first():
            shutil.rmtree(partial, ignore_errors=True)
        raise


def check_run(checkpoint: Path, run: dict[str, object]) -> None:
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
    """Put the weights of a checkpoint in the place of those that train, also where processes share them."""
    stored = _load(checkpoint / "model.safetensors")
    shared = _shared_names(checkpoint, "model.")
    targets = changing(model)
    if stored.keys() | shared != targets.keys():
        raise InputError(f"{checkpoint}: holds the weights of another model, or of another choice of what trains")
    with torch.no_grad():
        for name, value in stored.items():
            targets[name].copy_(processes.share_like(value, targets[name]))
        load_shards(checkpoint / SHARDS, {f"model.{name}": targets[name] for name in sorted(shared)})


def _shared_names(checkpoint: Path, prefix: str) -> set[str]:
    """The names of the tensors that processes shared, of those that begin with a prefix, without it."""
    names = shard_names(checkpoint / SHARDS)
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def load_optimizer(checkpoint: Path, optimizer: torch.optim.Optimizer, scheduler: Any) -> None:
    """Put the optimizer and the schedule back to where they were."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _load(checkpoint / "optimizer.safetensors").items():
        number, _, key = name.partition(".")
        parameter = parameters[int(number)]
        # The count of steps is one number, what is as large as its parameter is shared out as that is.
        placed = processes.share_like(value, parameter) if value.shape == parameter.shape else value
        state.setdefault(int(number), {})[key] = placed
    shared = {}
    for name in sorted(_shared_names(checkpoint, "optimizer.")):
        number, _, key = name.partition(".")
        moment = torch.empty_like(parameters[int(number)], requires_grad=False)
        shared[f"optimizer.{name}"] = state.setdefault(int(number), {})[key] = moment
    load_shards(checkpoint / SHARDS, shared)
    optimizer.load_state_dict({"state": state, "param_groups": read_json(checkpoint / "optimizer.json")})
    scheduler.load_state_dict(read_json(checkpoint / "scheduler.json"))


def load_random_state(checkpoint: Path) -> None:
    """Put Python's, NumPy's and torch's random numbers of this process back to where they were.

    Those of a process that the training did not have before stay as they are.
    """
    everybody = read_json(checkpoint / "random.json")
    if processes.rank() >= len(everybody):
        return
    state = everybody[processes.rank()]
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
    if torch.cuda.is_available() and state["cuda"]:
        torch.cuda.set_rng_state(torch.tensor(state["cuda"], dtype=torch.uint8))


def changing(model: nn.Module) -> dict[str, Tensor]:
    """What a step can change: parameters that train, and the buffers that belong to the model's state."""
    stored = model.state_dict(keep_vars=True)
    trains = {name: parameter.data for name, parameter in model.named_parameters() if parameter.requires_grad}
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in stored}
    return trains | buffers


def _random_state() -> dict[str, object]:
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": [name, np.asarray(keys).tolist(), *rest],
        "torch": torch.get_rng_state().tolist(),
        "cuda": torch.cuda.get_rng_state().tolist() if torch.cuda.is_available() else [],
    }


def _whole(folder: Path) -> list[Path]:
    return [path for path in folder.glob("checkpoint-*") if NAME.fullmatch(path.name)]


def _load(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file}: cannot be read: {error}") from error
