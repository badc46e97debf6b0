"""Low-rank adapters (LoRA, Hu et al. 2021) through peft, on the linear layers of the decoder.

The adapters are put into the model in place, so that the model keeps its class and trains like any other. When it is
saved, their product is added to the weights that they adapt: the checkpoint is an ordinary one. The adapters are kept
beside it, in the format of peft.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel

from cityscribe.models.parts import decoder_layers
from cityscribe.records import InputError
from cityscribe.settings import ModelSettings

ADAPTER = "default"  # peft's own name for the only adapter of a model


def add_lora(model: PreTrainedModel, settings: ModelSettings) -> list[nn.Parameter]:
    """Put adapters on the decoder's linear layers; returns what trains. The output stays the same, B starts at zero."""
    lora = settings.lora
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=target_names(model, lora.targets),
        bias="none",
    )
    inject_adapter_in_model(config, model, adapter_name=ADAPTER)
    return [p for layer in _adapted(model).values() for part in (layer.lora_A, layer.lora_B) for p in part.parameters()]


def target_names(model: PreTrainedModel, wanted: tuple[str, ...] | None) -> list[str]:
    """The full names of the decoder's linear layers, or of those among them whose name ends in one of `wanted`.

    Full names, because peft takes a bare `q_proj` in the vision tower too. Raises InputError for a name of nothing.
    """
    inside = {id(module) for layer in decoder_layers(model) for module in layer.modules()}
    linear = [name for name, m in model.named_modules() if isinstance(m, nn.Linear) and id(m) in inside]
    if wanted is None:
        return linear
    for target in wanted:
        if not any(_ends_in(name, target) for name in linear):
            known = sorted({name.rpartition(".")[2] for name in linear})
            raise InputError(f"model.lora.targets: the decoder has no `{target}`; it has {', '.join(known)}")
    return [name for name in linear if any(_ends_in(name, target) for target in wanted)]


def is_lora(model: PreTrainedModel) -> bool:
    """Whether the model carries adapters."""
    return bool(_adapted(model))


def merged_state_dict(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The weights of the model as if it had been tuned without adapters: W + (alpha / r) B A, under their plain names.

    The sum is taken in float32 and rounded once to the type of W.
    """
    adapted = _adapted(model)
    state: dict[str, torch.Tensor] = {}
    for key, value in model.state_dict().items():
        owner, _, rest = key.partition(".base_layer.")
        if owner not in adapted:
            owner = key.partition(".lora_")[0]
            if owner not in adapted:
                state[key] = value
        elif rest == "weight":
            layer = adapted[owner]
            down, up = (
                part.get_parameter(f"{ADAPTER}.weight").detach().float() for part in (layer.lora_A, layer.lora_B)
            )
            merged = value.float() + layer.scaling[ADAPTER] * (up @ down)
            state[f"{owner}.weight"] = merged.to(value.dtype)
        else:
            state[f"{owner}.{rest}"] = value
    return state


@dataclass(frozen=True, slots=True)
class AdapterWeights:
    """The adapters alone, as peft stores them."""

    config: LoraConfig
    weights: dict[str, torch.Tensor]

    def save(self, folder: Path) -> None:
        """Write a folder that `peft.PeftModel.from_pretrained(base, folder)` loads."""
        folder.mkdir(parents=True)
        self.config.save_pretrained(str(folder))
        save_file(self.weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def adapter_weights(model: PreTrainedModel) -> AdapterWeights:
    weights = get_peft_model_state_dict(model, adapter_name=ADAPTER)
    config = vars(model)["peft_config"][ADAPTER]
    return AdapterWeights(config, {f"base_model.model.{key}": value.contiguous() for key, value in weights.items()})


def _adapted(model: PreTrainedModel) -> dict[str, LoraLayer]:
    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


def _ends_in(name: str, target: str) -> bool:
    return f".{name}".endswith(f".{target}")
