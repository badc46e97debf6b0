"""Low-rank adapters through peft, on the linear layers of the decoder: LoRA, DoRA and QLoRA.

LoRA (Hu et al. 2021) adds a product B A of rank r to a weight W. DoRA (Liu et al. 2024) also learns the length of each
row of the sum. QLoRA (Dettmers et al. 2023) is LoRA on weights that are held in four bits.

The adapters are put into the model in place, so that the model keeps its class and trains like any other. When it is
saved they are merged into the weights that they adapt, never into their four-bit images: the checkpoint is an ordinary
one. The adapters are kept beside it, in the format of peft.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel

from cityscribe.files import InputError
from cityscribe.models.four_bit import is_four_bit
from cityscribe.models.parts import connector, decoder_layers, vision_tower
from cityscribe.models.settings import ModelSettings

# peft is imported where there are adapters only: with bitsandbytes installed it loads the compiler of torch, for a good
# second of each command that merely asks a model.
if TYPE_CHECKING:
    from peft import LoraConfig
    from peft.tuners.lora import LoraLayer

ADAPTER = "default"  # peft's own name for the only adapter of a model


def add_lora(model: PreTrainedModel, settings: ModelSettings) -> list[nn.Parameter]:
    """Put adapters on linear layers; returns what trains. The output stays the same, B starts at zero.

    The methods lora, dora and qlora; the last asks for a model whose decoder was loaded in four bits, the others for
    one that was not (ValueError). Raises InputError for targets that the model does not have.
    """
    from peft import LoraConfig, inject_adapter_in_model

    if (settings.method == "qlora") != is_four_bit(model):
        raise ValueError("qlora, and no other method, takes a model that `load_model` loaded with four_bit=True")
    lora = settings.lora
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=target_names(model, lora.targets, lora.parts),
        use_dora=settings.method == "dora",
        bias="none",
    )
    inject_adapter_in_model(config, model, adapter_name=ADAPTER)
    if is_four_bit(model):
        vars(model)["_hf_peft_config_loaded"] = True  # the Trainer refuses to train a quantised model without adapters
    adapted = _adapted(model).values()
    for layer in adapted:
        if ADAPTER in layer.lora_magnitude_vector:
            # In float32 whatever W is in: the length that training compares it to is taken there, and rounding one of
            # the two would change the model at step zero.
            lengths = torch.linalg.norm(layer.get_base_layer().get_parameter("weight").detach().float(), dim=1)
            layer.lora_magnitude_vector[ADAPTER].weight = nn.Parameter(lengths)
    parts = [part for layer in adapted for part in (layer.lora_A, layer.lora_B, layer.lora_magnitude_vector)]
    return [parameter for part in parts for parameter in part.parameters()]


def target_names(
    model: PreTrainedModel, wanted: tuple[str, ...] | None, parts: tuple[str, ...] = ("decoder",)
) -> list[str]:
    """The full names of the linear layers of some parts, or of those among them whose name ends in one of `wanted`.

    The decoder's are those in its layers, not its embeddings or its head. Full names, because peft takes a bare
    `q_proj` in the vision tower too. Raises InputError for a name of nothing, and for a part without a linear layer.
    """
    between = {id(module) for part in connector(model) for module in part.modules()}
    tower = vision_tower(model)
    inside = {
        "decoder": {id(module) for layer in decoder_layers(model) for module in layer.modules()},
        "connector": between,
        "vision_tower": {id(module) for module in tower.modules()} - between if tower is not None else set(),
    }
    linear: list[str] = []
    for part in parts:
        found = [name for name, m in model.named_modules() if _is_linear(m) and id(m) in inside[part]]
        if not found:
            raise InputError(f"model.lora.parts: {type(model).__name__} has no linear layers in its {part}")
        linear += found
    if wanted is None:
        return linear
    for target in wanted:
        if not any(_ends_in(name, target) for name in linear):
            known = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
            raise InputError(f"model.lora.targets: the {' and '.join(parts)} has no `{target}`; it has {known}")
    return [name for name in linear if any(_ends_in(name, target) for target in wanted)]


def _is_linear(module: nn.Module) -> bool:
    """Whether it is a linear layer, and not one of a family that gives more (the router of Llama 4)."""
    own = type(module).__module__.startswith("transformers.models.") and "forward" in vars(type(module))
    return isinstance(module, nn.Linear) and not own


def is_lora(model: PreTrainedModel) -> bool:
    """Whether the model carries adapters."""
    return bool(_adapted(model))


def is_adapter(name: str) -> bool:
    """Whether a parameter of that name belongs to an adapter, as peft names them."""
    return ".lora_" in name


def merged_state_dict(model: PreTrainedModel, whole: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The weights of the model as if it had been tuned without adapters, under their plain names.

    `whole` is the model itself, or where its decoder is in four bits the same model without adapters before it was
    quantised, whose weights then are merged into. LoRA: W + (alpha / r) B A. DoRA (Eq. 5): that sum with its rows
    scaled to the learned lengths. Merged in float32 and rounded once to the type of W.
    """
    adapted = _adapted(model)
    own = dict(_plain_names(model, adapted))
    if whole is model:
        weights = own
    else:
        weights = {
            name: own[name].to(value.device, value.dtype) if own[name].is_floating_point() else value
            for name, value in whole.state_dict().items()
        }
    for name, layer in adapted.items():
        weights[f"{name}.weight"] = _merged(weights[f"{name}.weight"], layer)
    return weights


def _plain_names(model: PreTrainedModel, adapted: dict[str, LoraLayer]) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights of the model under the names that they have without adapters, those of the adapters left out."""
    for key, value in model.state_dict().items():
        owner, _, rest = key.partition(".base_layer.")
        if owner in adapted:
            yield f"{owner}.{rest}", value
        elif key.partition(".lora_")[0] not in adapted:
            yield key, value


def _merged(weight: torch.Tensor, layer: LoraLayer) -> torch.Tensor:
    """A weight [out, in] with its adapter in it, in its own type and on its own device."""
    down, up = (
        part.get_parameter(f"{ADAPTER}.weight").detach().to(weight.device, torch.float32)
        for part in (layer.lora_A, layer.lora_B)
    )
    merged = weight.float() + layer.scaling[ADAPTER] * (up @ down)
    if ADAPTER in layer.lora_magnitude_vector:
        lengths = layer.lora_magnitude_vector.get_parameter(f"{ADAPTER}.weight").detach()  # [out]
        lengths = lengths.to(weight.device, torch.float32)
        merged *= (lengths / torch.linalg.norm(merged, dim=1))[:, None]
    return merged.to(weight.dtype)


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
    from peft import get_peft_model_state_dict

    weights = get_peft_model_state_dict(model, adapter_name=ADAPTER)
    config = vars(model)["peft_config"][ADAPTER]
    return AdapterWeights(config, {f"base_model.model.{key}": value.contiguous() for key, value in weights.items()})


def _adapted(model: PreTrainedModel) -> dict[str, LoraLayer]:
    if "peft_config" not in vars(model):
        return {}
    from peft.tuners.lora import LoraLayer

    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


def _ends_in(name: str, target: str) -> bool:
    return f".{name}".endswith(f".{target}")
