"""The image encoder of CLIP (Radford et al. 2021), LLaVA's tower."""

from __future__ import annotations

from transformers import CLIPVisionConfig, CLIPVisionModel
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from cityscribe.models.vlm.towers.hidden import HiddenTower


class ClipTower(HiddenTower):
    config_class = CLIPVisionConfig
    model_class = CLIPVisionModel
    class_tokens = 1
    mean = tuple(OPENAI_CLIP_MEAN)
    std = tuple(OPENAI_CLIP_STD)
