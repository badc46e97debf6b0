"""Positions of a decoder stretched, so that it takes longer sequences than it was trained with.

Linear scaling (Chen et al. 2023): position p is seen where p / factor was. LLaMA-VID's third stage goes from 4,096 to
65,536 tokens so, by a factor of 16.
"""

from __future__ import annotations

import copy
from typing import Any

from transformers import PreTrainedModel

from cityscribe.files import InputError
from cityscribe.models.parts import decoder, text_configs


def stretch_positions(model: PreTrainedModel, factor: float) -> None:
    """Stretch the rotary positions of a decoder by a factor, in place; its configuration says so from then on.

    Raises InputError for a decoder without plain rotary positions.
    """
    inner: Any = decoder(model)
    rotary = dict(inner.named_children()).get("rotary_emb")
    kinds = [dict(vars(config).get("rope_parameters") or {}).get("rope_type") for config in text_configs(model)]
    if rotary is None or any(kind != "default" for kind in kinds):
        found = "none" if rotary is None or None in kinds else str(kinds[0])
        raise InputError(f"model.stretch: {type(model).__name__} has rotary positions of the kind {found}, not default")
    for config in text_configs(model):
        rope: Any = copy.deepcopy(vars(config)["rope_parameters"])
        vars(config)["rope_parameters"] = {**rope, "rope_type": "linear", "factor": float(factor)}
        vars(config)["max_position_embeddings"] = round(vars(config)["max_position_embeddings"] * factor)
    device = next(inner.parameters()).device
    inner.rotary_emb = type(rotary)(config=vars(inner)["config"]).to(device)
