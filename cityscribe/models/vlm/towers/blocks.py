"""The layers of a transformer encoder one by one, for towers that put something between them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from cityscribe.files import InputError


class Blocks:
    """How a tower of CLIP, SigLIP, EVA-CLIP, ViT or DINOv2 begins, and its layers. `count` of them are used: those
    before the state that the tower reads."""

    def __init__(self, tower: Any) -> None:
        self.model: Any = tower.model
        self.interpolates = bool(getattr(tower, "interpolates", False))
        lists = [module for module in self.model.modules() if isinstance(module, nn.ModuleList)]
        if len(lists) != 1 or not hasattr(self.model, "embeddings"):
            raise InputError(f"towers: a {type(self.model).__name__} is no stack of layers behind embeddings")
        self.layers: Any = lists[0]
        layer = -1 if tower.layer is None else tower.layer
        self.count = layer if layer >= 0 else len(self.layers) + 1 + layer
        self.norm = self._last_norm() if tower.layer is None else None

    def _last_norm(self) -> Any:
        """The norm behind the last layer, where the tower reads what the encoder gives in the end."""
        return next((module for name, module in self.model.named_children() if name == "layernorm"), None)

    def begin(self, pixels: Tensor) -> Tensor:
        """[views, 3, height, width] -> [views, tokens, width], the state before the first layer"""
        options = {"interpolate_pos_encoding": True} if self.interpolates else {}
        states: Tensor = self.model.embeddings(pixels, **options)
        if hasattr(self.model, "pre_layrnorm"):  # so it is called in CLIP
            states = self.model.pre_layrnorm(states)
        return states

    def run(self, states: Tensor, first: int, last: int) -> Tensor:
        """The state behind layers `first` to `last`, the latter not included."""
        for layer in self.layers[first:last]:
            states = layer(states, attention_mask=None)
        return states

    def end(self, states: Tensor) -> Tensor:
        return states if self.norm is None else self.norm(states)


def spread(count: int, times: int) -> list[int]:
    """After which of `count` layers something stands that is done so many times, evenly spread, the last at the end."""
    if not 1 <= times <= count:
        raise InputError(f"{times} times between {count} layers; expected 1 to {count}")
    return [round((number + 1) * count / times) for number in range(times)]
