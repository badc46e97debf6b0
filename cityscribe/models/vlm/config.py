"""The configuration of a model from parts."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec


class VlmConfig(PreTrainedConfig):
    """What a model is composed of. A part is a dict of its `kind`, a name of `cityscribe.models.seams`, and options.

    A tower's options are its `config`, a configuration of transformers, and the `layer` that is read.
    """

    model_type = "cityscribe_vlm"
    attribute_map = {"image_token_id": "image_token_index"}  # noqa: RUF012  # as in every configuration of transformers
    sub_configs_defaults = {  # noqa: RUF012
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama")
    }

    towers: list[dict[str, Any]] | None = None
    tiling: dict[str, Any] | None = None
    connector: dict[str, Any] | None = None
    text_config: dict[str, Any] | PreTrainedConfig | None = None
    image_token_index: int = 0
    tie_word_embeddings: bool = False
    head_bias: bool = False  # whether the head of the decoder's family has one, as Phi's
