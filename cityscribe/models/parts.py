"""The parts of an image-text-to-text model, found by module identity and never by matching names of weights.

Names of weights mislead: `layers.4.` is a layer of the decoder and one of the vision tower as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from cityscribe.files import InputError
from cityscribe.models.settings import ModelPart

CONNECTOR_NAMES = (
    "multi_modal_projector",  # LLaVA and its kin, InternVL, Gemma 3
    "connector",  # SmolVLM, Idefics
    "merger",  # Qwen-VL, inside the vision tower
    "deepstack_merger_list",  # Qwen3-VL, likewise
    "qformer",  # BLIP-2
    "language_projection",  # BLIP-2
    "embed_vision",  # Gemma 3n and 4
    "aligner",  # DeepSeek-VL, Janus
    "projector",  # VideoLLaMA 3, PaddleOCR-VL
    "vision_projection",  # LightOn OCR
    "mm_projector",  # Kimi K2.5
    "patch_merger",  # HunyuanVL, inside the vision tower
    "visual_embeddings_table",  # Ovis 2
)
"""What the families call the modules between the vision tower and the decoder."""


INNER_PARTS = ("text_decoder", "context", "global_view", "local_views")
"""Parts that some connectors consist of."""

LAYER_LISTS = ("layers", "blocks")
"""What families call the list of the decoder's layers."""


def vision_tower(model: PreTrainedModel) -> nn.Module | None:
    """The image encoder, or None where the model has no part of that kind."""
    tower = model.get_encoder(modality="image")
    return None if tower is model or tower is model.base_model else tower


def connector(model: PreTrainedModel) -> list[nn.Module]:
    """The outermost modules between the vision tower and the decoder; empty where none bears a known name."""
    inside_decoder = set(map(id, decoder(model).modules()))
    found: list[nn.Module] = []
    covered: set[int] = set()
    for name, module in model.named_modules():
        known = name.rpartition(".")[2] in CONNECTOR_NAMES
        if known and id(module) not in covered and id(module) not in inside_decoder:
            found.append(module)
            covered.update(map(id, module.modules()))
    return found


def decoder(model: PreTrainedModel) -> nn.Module:
    """The language model without its head."""
    return model.get_decoder()


def decoder_layers(model: PreTrainedModel) -> nn.ModuleList:
    """The list of decoder layers itself, so that inserting into it changes the model.

    Raises InputError where the decoder is not a list of as many layers as its configuration says.
    """
    count = model.config.get_text_config().num_hidden_layers
    for name, module in decoder(model).named_modules():
        # Some decoders (OPT) keep their list one floor further down.
        if name.rpartition(".")[2] in LAYER_LISTS and isinstance(module, nn.ModuleList):
            if len(module) == count:
                return module
            break
    raise InputError(f"{type(model).__name__}: its decoder is not a list `layers` of {count} layers")


def text_configs(model: PreTrainedModel) -> list[PreTrainedConfig]:
    """The objects that hold the decoder's configuration: the model's and, where that is a copy, the decoder's own."""
    outer, inner = model.config.get_text_config(), vars(decoder(model))["config"]
    return [outer] if outer is inner else [outer, inner]


def named_parts(model: PreTrainedModel) -> Iterator[tuple[str, list[nn.Parameter]]]:
    """Each part's name and parameters. A parameter belongs to the first part that has it, so that sums come out right.

    The names are those of `settings.ModelPart`; what belongs to no part is `other`. The connector comes before the
    vision tower because Qwen-VL keeps it in there. A head that is tied to the embeddings is theirs.
    """
    head = model.get_output_embeddings()
    tower = vision_tower(model)
    modules: list[tuple[str, list[nn.Module]]] = [
        *_inner_parts(model),
        ("connector", connector(model)),
        ("vision_tower", [tower] if tower is not None else []),
        ("embeddings", [model.get_input_embeddings()]),
        ("head", [head] if head is not None else []),
        ("decoder", [decoder(model)]),
        ("other", [model]),
    ]
    seen: set[int] = set()
    for name, members in modules:
        parameters = [p for member in members for p in member.parameters() if id(p) not in seen]
        seen.update(map(id, parameters))
        yield name, parameters


def _inner_parts(model: PreTrainedModel) -> list[tuple[str, list[nn.Module]]]:
    """The parts that connectors consist of, where they tell them (`parts`)."""
    telling: list[Any] = [module for module in connector(model) if hasattr(module, "parts")]
    found: dict[str, list[nn.Module]] = {name: [] for name in INNER_PARTS}
    for module in telling:
        for name, members in module.parts().items():
            found[name] += members
    return list(found.items())


def parameters_of(model: PreTrainedModel, parts: Sequence[ModelPart], setting: str) -> list[nn.Parameter]:
    """The parameters of some parts. Raises InputError, naming the setting, for a part that the model has not."""
    found = dict(named_parts(model))
    for part in parts:
        if not found[part]:
            tied = (
                " (its head is tied to the embeddings)"
                if part == "head" and model.get_output_embeddings() is not None
                else ""
            )
            raise InputError(f"{setting}: {type(model).__name__} has no {part} of its own{tied}")
    return [parameter for part in parts for parameter in found[part]]


def parameter_groups(model: PreTrainedModel, scales: Mapping[ModelPart, float]) -> list[dict[str, Any]]:
    """What trains, part by part, as parameter groups of an optimizer: `params`, `part` and `lr_scale`.

    The caller multiplies its rate by `lr_scale` (1 where `scales` does not name the part) into the group's `lr`. Blocks
    and adapters belong to the part that they stand in. Raises InputError for a part that is named and does not train:
    its scale would have no effect.
    """
    factors = {str(part): factor for part, factor in scales.items()}
    groups: list[dict[str, Any]] = []
    for part, parameters in named_parts(model):
        trains = [parameter for parameter in parameters if parameter.requires_grad]
        if trains:
            groups.append({"params": trains, "part": part, "lr_scale": factors.get(part, 1.0)})
    known = [group["part"] for group in groups]
    for part in factors:
        if part not in known:
            raise InputError(f"train.lr_scales: {part} does not train; what trains is {', '.join(known) or 'nothing'}")
    return groups
