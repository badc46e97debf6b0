"""Any image encoder of transformers as a tower, by its configuration: ViT, DINOv2, DINOv3, SigLIP 2, ConvNeXt, V-JEPA
2, and through `timm_wrapper` those of timm, FastVLM's FastViTHD among them.

Its state `layer`, or what it gives at its end, becomes features on a grid: states of tokens lose those that stand
before the patches, maps of convolutional encoders are taken as they are. How large the grid is, a run on the meta
device tells.
"""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig
from transformers.image_utils import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    IMAGENET_STANDARD_MEAN,
    IMAGENET_STANDARD_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)

from cityscribe.files import InputError, read_json
from cityscribe.models.vlm.pieces import config_values, weights_below

COLOURS = {
    "clip_vision_model": (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD),
    "siglip_vision_model": (IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD),
    "siglip2_vision_model": (IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD),
    "vit": (IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD),
}
"""What encoders of a type were trained with, where that is not ImageNet's mean and deviation."""

PREFIXES = ("vision_tower.", "vision_model.", "vision_tower.vision_model.", "visual.")
"""What stands before the names of an encoder in a model that has one."""

MOST_SPECIAL_TOKENS = 16
"""Tokens that may stand before the patches: class token, registers."""


class TransformersTower(nn.Module):
    """`config`: a configuration of transformers with its `model_type`. `layer`: which hidden state, -1 the last before
    a norm behind it; None is what the encoder gives in the end. `size`: pixels of a side, or height and width; another
    than the encoder was trained at interpolates its positions. `mean`, `std`: what pixels are normalised by.

    Nothing in the encoder is drawn while it trains, and statistics of batches do not move: what a view becomes must not
    depend on others, nor on when it is computed.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        layer: int | None = None,
        size: int | tuple[int, int] | None = None,
        mean: tuple[float, float, float] | None = None,
        std: tuple[float, float, float] | None = None,
    ) -> None:
        super().__init__()
        made = _configuration(config)
        colours = COLOURS.get(made.model_type, (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
        self.mean, self.std = tuple(mean or colours[0]), tuple(std or colours[1])
        trained_at = _trained_at(made)
        self.size = _sides(size) if size is not None else trained_at
        if self.size is None:
            raise InputError(f"size: missing; a configuration of type {made.model_type} does not say one")
        self.layer = layer
        self.model = AutoModel.from_config(made)
        self.interpolates = self.size != trained_at and _takes(self.model, "interpolate_pos_encoding")
        with torch.device("meta"):
            probe = self.model if _is_meta(self.model) else AutoModel.from_config(made)
            states = self._states(probe, torch.empty(1, 3, *self.size))
        if states.ndim == 4:  # a map
            self.class_tokens, self.grid, self.width = 0, tuple(states.shape[2:]), states.shape[1]
        else:
            self.grid = _grid(made, self.size, states.shape[1])
            self.class_tokens = states.shape[1] - self.grid[0] * self.grid[1]
            self.width = states.shape[2]

    @classmethod
    def read_config(cls, base: str) -> Mapping[str, Any]:
        """The configuration of the image encoder of a model in a folder or on the hub."""
        config = _vision_config(base)
        return {**config_values(config), "model_type": config.model_type}

    @classmethod
    def read_options(cls, base: str) -> Mapping[str, Any]:
        """What beside the configuration is known of a base: what its pictures were normalised by."""
        found = _preprocessor(base)
        names = {"image_mean": "mean", "image_std": "std"}
        return {name: list(found[stored]) for stored, name in names.items() if found.get(stored)}

    @classmethod
    def read_weights(cls, base: str) -> dict[str, Tensor]:
        """Its weights, under the names that they have in `model`. Raises ValueError where some are missing."""
        config = _vision_config(base)
        with torch.device("meta"):
            model = AutoModel.from_config(config)
        if not isinstance(AutoConfig.from_pretrained(base, trust_remote_code=False), type(config)):
            for prefix in PREFIXES:
                with contextlib.suppress(ValueError):
                    return weights_below(base, prefix, model.state_dict())
        loaded: Any = AutoModel.from_pretrained(
            base,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        whole, loading = loaded
        if loading["missing_keys"]:
            raise ValueError(f"has no `{sorted(loading['missing_keys'])[0]}`")
        weights: dict[str, Tensor] = whole.state_dict()
        return weights

    def train(self, mode: bool = True) -> TransformersTower:
        super().train(mode)
        self.model.eval()
        return self

    def _states(self, model: nn.Module, pixels: Tensor) -> Tensor:
        outputs = _run(model, pixels, self.layer is not None, self.interpolates)
        if self.layer is None:
            return outputs.last_hidden_state
        if not -len(outputs.hidden_states) <= self.layer < len(outputs.hidden_states):
            raise InputError(f"layer {self.layer}: there are {len(outputs.hidden_states) - 1} layers")
        states: Tensor = outputs.hidden_states[self.layer]
        return states

    def states(self, pixels: Tensor) -> Tensor:
        """[views, 3, *size] -> [views, class_tokens + rows * columns, width]"""
        states = self._states(self.model, pixels)
        return states.flatten(2).transpose(1, 2) if states.ndim == 4 else states

    def forward(self, pixels: Tensor) -> Tensor:
        """[views, 3, *size] -> [views, *grid, width]"""
        return self.states(pixels)[:, self.class_tokens :].unflatten(1, self.grid)


def _configuration(config: Mapping[str, Any]) -> PreTrainedConfig:
    rest = dict(config)
    kind = str(rest.pop("model_type", ""))
    if not kind:
        raise InputError("config: model_type: missing; it says which encoder of transformers")
    return AutoConfig.for_model(kind, **rest)


def _run(model: Any, pixels: Tensor, hidden: bool, interpolates: bool) -> Any:
    """What an encoder gives for pictures [views, 3, height, width]. Two types take them in a form of their own."""
    options: dict[str, bool] = {"output_hidden_states": True} if hidden else {}
    if model.config.model_type == "vjepa2":  # a picture is a video that stands still for one tubelet
        video = pixels[:, None].expand(-1, model.config.tubelet_size, -1, -1, -1)
        return model(pixel_values_videos=video, skip_predictor=True, **options)
    if model.config.model_type == "siglip2_vision_model":
        side = model.config.patch_size
        rows, columns = pixels.shape[2] // side, pixels.shape[3] // side
        cut = pixels.unflatten(2, (rows, side)).unflatten(4, (columns, side))  # [views, 3, rows, side, columns, side]
        patches = cut.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)
        shapes = torch.tensor([[rows, columns]] * len(pixels), device="cpu")
        return model(patches, pixel_attention_mask=None, spatial_shapes=shapes, **options)
    if interpolates:
        options["interpolate_pos_encoding"] = True
    return model(pixels, **options)


def _takes(model: nn.Module, name: str) -> bool:
    """Whether an encoder has an option; those that pass options on as they are do not name it."""
    inner = [model, *(module for module in model.children())]
    return any(name in inspect.signature(module.forward).parameters for module in inner)


def _is_meta(model: nn.Module) -> bool:
    return all(parameter.is_meta for parameter in model.parameters())


def _sides(size: Any) -> tuple[int, int]:
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or min(sides) < 1:
        raise InputError(f"size: {size}; expected the pixels of a side, or height and width")
    return int(sides[0]), int(sides[1])


def _trained_at(config: Any) -> tuple[int, int] | None:
    """Height and width that a configuration names, if any: types have it under three names."""
    if config.model_type == "siglip2_vision_model":
        side = math.isqrt(config.num_patches) * config.patch_size
        return side, side
    if config.model_type == "timm_wrapper":
        shape = (getattr(config, "pretrained_cfg", None) or {}).get("input_size")
        return None if shape is None else _sides(tuple(shape[1:]))
    found = config.crop_size if config.model_type == "vjepa2" else getattr(config, "image_size", None)
    return None if found is None else _sides(found)


def _grid(config: Any, size: tuple[int, int], tokens: int) -> tuple[int, int]:
    """Rows and columns of the patches among so many tokens."""
    patch = getattr(config, "patch_size", None)
    if patch is None:
        rows = columns = math.isqrt(tokens)
    else:
        high, wide = _sides(patch)
        rows, columns = size[0] // high, size[1] // wide
    if not 0 <= tokens - rows * columns <= MOST_SPECIAL_TOKENS:
        raise InputError(f"{config.model_type}: gives {tokens} tokens, which are no grid of patches")
    return rows, columns


def _vision_config(base: str) -> PreTrainedConfig:
    """The configuration of an encoder, or that of the one in a model of two."""
    config: Any = AutoConfig.from_pretrained(base, trust_remote_code=False)
    return config.vision_config if "vision_config" in config.sub_configs else config


def _preprocessor(base: str) -> Mapping[str, Any]:
    """What a base says of its image processor; empty where it says nothing."""
    for name, part in (("preprocessor_config.json", ""), ("processor_config.json", "image_processor")):
        try:
            file = Path(base) / name if Path(base).is_dir() else Path(hf_hub_download(base, name))
        except (EntryNotFoundError, HfHubHTTPError, OSError):
            continue
        if file.is_file():
            found: Any = read_json(file)
            return dict((found.get(part) or {}) if part else found)
    return {}
