"""Processors of checkpoints as they were published, where today's transformers expects more of them.

Older checkpoints of LLaVA and its kin leave out what tells the processor how many tokens an image takes; it stands in
the configuration of the model as well. And a checkpoint may name another class of processor than the one that
transformers has for its type of model, as Pixtral in LLaVA's architecture does.
"""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedConfig, ProcessorMixin
from transformers.models.auto.processing_auto import processor_class_from_name
from transformers.utils.import_utils import DummyObject

CLASS_TOKEN = ("clip_vision_model",)
"""Towers that put a token of their own before those of the patches."""


def own_class(place: str) -> type[ProcessorMixin] | None:
    """The class that a checkpoint names for its processor; None where it names none that transformers has.

    Raises ImportError, with what is missing, for one that cannot run in this installation.
    """
    name = _stored(place).get("processor_class")
    found = processor_class_from_name(name) if isinstance(name, str) else None
    if isinstance(found, DummyObject):
        found()  # a stand-in of transformers that says which package it needs
    return found if isinstance(found, type) and issubclass(found, ProcessorMixin) else None


def complete(processor: ProcessorMixin, place: str, config: PreTrainedConfig) -> None:
    """Give a processor what its checkpoint leaves out, in place, from the configuration of the model."""
    values = config.to_dict()
    vision = values.get("vision_config") or {}
    size, patch = vision.get("image_size"), vision.get("patch_size")
    known: dict[str, Any] = {
        "patch_size": patch,
        "vision_feature_select_strategy": values.get("vision_feature_select_strategy"),
        "num_additional_image_tokens": int(vision.get("model_type") in CLASS_TOKEN) if vision else None,
        "num_image_tokens": (size // patch) ** 2 if isinstance(size, int) and isinstance(patch, int) else None,
    }
    stored = _stored(place)
    for name, value in known.items():
        if stored.get(name) is None and name in vars(processor) and value is not None:
            setattr(processor, name, value)


def _stored(place: str) -> dict[str, Any]:
    """What a checkpoint says of its processor as a whole; empty where an older one has no processor_config.json."""
    try:
        return dict(ProcessorMixin.get_processor_dict(place)[0])
    except OSError:
        return {}
