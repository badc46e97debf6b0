"""The image encoder of EVA-CLIP (Sun et al. 2023) in the classes of InstructBLIP, which has the same weights.

LLaMA-VID's tower: the state behind the last layer, before the norm that InstructBLIP puts there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import InstructBlipVisionConfig, InstructBlipVisionModel
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from cityscribe.models.vlm.pieces import weights_below
from cityscribe.models.vlm.towers.hidden import HiddenTower


class EvaTower(HiddenTower):
    config_class = InstructBlipVisionConfig
    model_class = InstructBlipVisionModel
    class_tokens = 1
    mean = tuple(OPENAI_CLIP_MEAN)
    std = tuple(OPENAI_CLIP_STD)

    @classmethod
    def read_weights(cls, base: str) -> dict[str, Tensor]:
        """The tower of an InstructBLIP. Raises ValueError where some of its weights are missing."""
        with torch.device("meta"):
            wanted = cls.model_class(cls.config_class(**cls.read_config(base))).state_dict()
        return weights_below(base, "vision_model.", wanted)

    def __init__(self, config: Mapping[str, Any], layer: int = -1) -> None:
        super().__init__(dict(config), layer)
