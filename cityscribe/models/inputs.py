"""What a model takes for a conversation that it sees alone: inputs beside the tokens, positions, images read once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor
from transformers import BatchFeature, PreTrainedModel

TOKEN_INPUTS = ("token_type_ids", "mm_token_type_ids")
"""What processors give for each token beside its id, and some models need when they run by themselves."""

WHOLE_IMAGES = ("gemma3",)
"""Model types whose image tokens see each other in both directions."""


def position_rule(model: PreTrainedModel) -> Callable[[dict[str, Tensor], dict[str, Tensor]], np.ndarray]:
    """How a model numbers the tokens of a sequence that it sees alone: from token and image inputs to [axes, length].

    Token inputs are `input_ids` [1, length] and what stands beside it. Models with multi-dimensional rotary positions
    (Qwen-VL and its kin) are asked by their own `get_rope_index`; all others count from 0. What they remember on
    themselves from one call to the next is never used.
    """
    owner = next((module for module in model.modules() if hasattr(type(module), "get_rope_index")), None)
    if owner is None:
        return lambda tokens, images: np.arange(tokens["input_ids"].shape[1])[None]
    ask: Any = owner.get_rope_index
    accepted = inspect.signature(ask).parameters

    def positions(tokens: dict[str, Tensor], images: dict[str, Tensor]) -> np.ndarray:
        if not images:
            return np.tile(np.arange(tokens["input_ids"].shape[1]), (3, 1))
        position_ids, _ = ask(**{name: value for name, value in (tokens | images).items() if name in accepted})
        return position_ids[:, 0].numpy()

    return positions


class PreprocessOnce:
    """Stands in for a processor's image processor: preprocesses on the first call, gives the same on every later one.

    A processor has to see the images with every conversation about them, to know how many tokens each of them takes.
    """

    def __init__(self, image_processor: Any) -> None:
        self._image_processor = image_processor
        self._features: BatchFeature | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._image_processor, name)

    def __call__(self, *args: Any, **kwargs: Any) -> BatchFeature:
        if self._features is None:
            self._features = self._image_processor(*args, **kwargs)
        # A copy, because some processors take entries out of what they get.
        return BatchFeature(dict(self._features))
