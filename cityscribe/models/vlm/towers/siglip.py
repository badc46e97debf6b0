"""The image encoder of SigLIP (Zhai et al. 2023): no class token, and without its pooling head here."""

from __future__ import annotations

from typing import Any

from transformers import SiglipVisionConfig, SiglipVisionModel
from transformers.image_utils import IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD

from cityscribe.models.vlm.towers.hidden import HiddenTower


class SiglipTower(HiddenTower):
    config_class = SiglipVisionConfig
    model_class = SiglipVisionModel
    class_tokens = 0
    mean = tuple(IMAGENET_STANDARD_MEAN)
    std = tuple(IMAGENET_STANDARD_STD)

    @classmethod
    def _fitting(cls, config: dict[str, Any]) -> dict[str, Any]:
        return {**super()._fitting(config), "vision_use_head": False}

    def __init__(self, config: dict[str, Any], layer: int = -2) -> None:
        super().__init__({**config, "vision_use_head": False}, layer)
