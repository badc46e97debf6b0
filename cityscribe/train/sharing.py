"""How processes share a model: whole on each (DDP), or in parts (FSDP2, and DeepSpeed's ZeRO-3).

`train.distributed` chooses. FSDP2 and ZeRO-3 divide parameters, gradients and the optimizer's moments alike; FSDP2 is
part of torch and can go on from checkpoints, DeepSpeed is what CityLLaVA's released code used.
"""

from __future__ import annotations

import copy
import json
import os
from importlib import resources
from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from cityscribe.files import InputError
from cityscribe.train import processes
from cityscribe.train.checkpoints import changing
from cityscribe.train.settings import TrainSettings

Sharing = Literal["alone", "ddp", "fsdp2", "deepspeed"]
"""How processes share the work; alone: there is one."""


SEQUENCE_PARALLEL = ("PARALLELISM_CONFIG_CP_SIZE", "PARALLELISM_CONFIG_SP_SIZE")
"""Where accelerate's launcher says that processes are to divide each sequence among them."""


def resolve_sharing(settings: TrainSettings) -> Sharing:
    """What `train.distributed` means here. Raises InputError where it cannot be had."""
    for name in SEQUENCE_PARALLEL:
        if os.environ.get(name, "1") != "1":
            # accelerate takes away attention masks then, and layers that carry a state begin anew on each process.
            raise InputError(
                f"{name}={os.environ[name]}: context parallelism knows causal attention only, not who sees whom in a "
                "tree, and would train something else without a word; start without it, and for long contexts set "
                "train.gradient_checkpointing with train.offload_activations, and train.distributed to fsdp2"
            )
    wanted = settings.distributed
    if wanted == "auto":
        wanted = "deepspeed" if settings.deepspeed is not None else "ddp"
    if wanted == "deepspeed":
        if find_spec("deepspeed") is None:
            raise InputError(
                "train.distributed: deepspeed is not installed; "
                "`pip install 'cityscribe[deepspeed]'`, or set it to fsdp2"
            )
        if settings.validation.every:
            raise InputError("train.validation: not with DeepSpeed; set train.distributed to fsdp2 or ddp")
        return "deepspeed"
    return wanted if processes.count() > 1 else "alone"


def sharing_arguments(
    sharing: Sharing, settings: TrainSettings, model: PreTrainedModel, dtype: torch.dtype
) -> dict[str, Any]:
    """The arguments of the `Trainer` that say how processes share the work."""
    if sharing == "fsdp2":
        present = {type(module).__name__ for module in model.modules()}
        # The names that a family gives include layers of parts that not each of its models has.
        layers = sorted(name for name in model._no_split_modules or () if name in present)
        return {
            "fsdp": True,
            "fsdp_config": {"version": 2, "transformer_layer_cls_to_wrap": layers},
            # Gradients that wait for the last batch of an update would wait whole.
            "accelerator_config": {"gradient_accumulation_kwargs": {"sync_each_batch": True}},
        }
    if sharing == "deepspeed":
        # DeepSpeed holds the weights that a step changes in float32 by itself.
        return {"deepspeed": deepspeed_config(settings), "bf16": dtype == torch.bfloat16}
    return {}


def deepspeed_config(settings: TrainSettings) -> dict[str, Any]:
    """The configuration that `train.deepspeed` names, or ZeRO-3. Raises InputError where it cannot be read."""
    file = settings.deepspeed
    try:
        if file is None:
            return json.loads((resources.files("cityscribe.train") / "zero3.json").read_text(encoding="utf-8"))
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error} (train.deepspeed)") from error
    except ValueError as error:
        raise InputError(f"{file}: not JSON: {error} (train.deepspeed)") from error
    if not isinstance(config, dict):
        raise InputError(f"{file}: expected an object of settings (train.deepspeed)")
    return config


def twin(model: PreTrainedModel) -> PreTrainedModel:
    """The same model again, to be shared out. It takes no memory of its own: the parameters are those of `model`.

    `model` moves to main memory, from where each process takes its part layer by layer.
    """
    quantised = [name for name, p in model.named_parameters() if not p.is_floating_point()]
    if quantised:
        raise InputError(
            f"train.distributed: quantised weights ({quantised[0]} and others) cannot be divided; set it to ddp"
        )
    model.to("cpu")  # type: ignore[arg-type]
    same = {id(p): nn.Parameter(p.data, requires_grad=p.requires_grad) for p in model.parameters()}
    return copy.deepcopy(model, memo=dict(same))


def give_back(shared: PreTrainedModel, model: PreTrainedModel, sharing: Sharing) -> None:
    """Copy what was trained from a model that is shared out to the whole one. All processes have to call this."""
    targets = changing(model)
    parameters = dict(shared.named_parameters())
    with torch.no_grad():
        for name, value in changing(shared).items():
            if sharing == "deepspeed" and name in parameters:
                from deepspeed.utils import safe_get_full_fp32_param

                value = safe_get_full_fp32_param(parameters[name])
            targets[name].copy_(processes.whole(value))


def check_shares(model: nn.Module) -> None:
    """Raises InputError where this process holds clearly more of the parameters than its share."""
    held, total = held_elements(model)
    # Each tensor is divided along its first axis: shares of small tensors are unequal, yet far from whole.
    if held > 1.5 * total / processes.count():
        raise InputError(
            f"train.distributed: each of {processes.count()} processes was to hold its share of {total:,} parameters, "
            f"but process {processes.rank()} holds {held:,}; set it to ddp or deepspeed"
        )


def held_elements(model: nn.Module) -> tuple[int, int]:
    """How many elements of the parameters this process holds, and how many there are."""
    held = total = 0
    for parameter in model.parameters():
        total += parameter.numel()
        held += parameter.to_local().numel() if isinstance(parameter, DTensor) else parameter.numel()
    return held, total
