"""A tower that is an image encoder of transformers: one of its hidden states, without its class token, on a grid."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from cityscribe.files import InputError
from cityscribe.models.vlm.pieces import config_values


class HiddenTower(nn.Module):
    """The hidden state `layer` (-1 the last, as the encoder leaves it) of an encoder of square patches."""

    config_class: ClassVar[type[PreTrainedConfig]]
    model_class: ClassVar[type[PreTrainedModel]]
    class_tokens: ClassVar[int]  # before those of the patches
    mean: ClassVar[tuple[float, ...]]  # what pixels are normalised by, each a share of 255
    std: ClassVar[tuple[float, ...]]

    def __init__(self, config: dict[str, Any], layer: int = -2) -> None:
        super().__init__()
        made: Any = self.config_class(**config)
        if made.image_size % made.patch_size:
            raise InputError(f"image_size {made.image_size} is no multiple of patch_size {made.patch_size}")
        if not -made.num_hidden_layers - 1 <= layer < made.num_hidden_layers + 1:
            raise InputError(f"layer {layer}: there are {made.num_hidden_layers} layers")
        self.layer = layer
        self.size = (made.image_size, made.image_size)
        side = made.image_size // made.patch_size
        self.grid = (side, side)
        self.width = int(made.hidden_size)
        self.model = self.model_class(made)

    @classmethod
    def read_config(cls, base: str) -> dict[str, Any]:
        """The configuration of the image encoder of a model in a folder or on the hub."""
        return cls._fitting(dict(config_values(cls.config_class.from_pretrained(base))))

    @classmethod
    def read_weights(cls, base: str) -> dict[str, Tensor]:
        """Its weights, under the names that they have in `model`. Raises ValueError where some are missing."""
        config = cls.config_class(**cls.read_config(base))
        loaded: Any = cls.model_class.from_pretrained(
            base, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
        model, loading = loaded
        if loading["missing_keys"]:
            raise ValueError(f"has no `{sorted(loading['missing_keys'])[0]}`")
        weights: dict[str, Tensor] = model.state_dict()
        return weights

    @classmethod
    def _fitting(cls, config: dict[str, Any]) -> dict[str, Any]:
        """What a configuration becomes as an option of the tower."""
        return config

    def states(self, pixels: Tensor) -> Tensor:
        """[views, 3, *size] -> [views, class_tokens + rows * columns, width]"""
        states: Tensor = self.model(pixels, output_hidden_states=True).hidden_states[self.layer]
        return states

    def forward(self, pixels: Tensor) -> Tensor:
        """[views, 3, *size] -> [views, *grid, width]"""
        return self.states(pixels)[:, self.class_tokens :].unflatten(1, self.grid)
