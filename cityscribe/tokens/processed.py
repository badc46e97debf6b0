"""What a processor gave for a conversation, sorted, and what it wrote for each image and video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cityscribe.models.inputs import TARGETS, TOKEN_INPUTS
from cityscribe.tokens.answers import Replacement


class Replacements:
    """Stands in for a processor's `get_text_with_replacements` and keeps what each image was written out as."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.last: list[Replacement] = []

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[list[str], list[list[Replacement]]]:
        text, replaced = self.processor.get_text_with_replacements(*args, **kwargs)
        self.last = list(replaced[0]) if replaced else []
        return text, replaced

    def count(self, placeholders: Sequence[str]) -> list[int]:
        """How many placeholder tokens each image or video took in the last conversation."""
        return [sum(map(each["replacement"].count, placeholders)) for each in self.last]


class MarkedByNumbers:
    """Stands in for a processor's `_adjust_assistant_masks_indices`, which compares the places of tokens in a text one
    by one: as numbers, which is many times faster than as tensors of one number each, and says the same."""

    NAME = "_adjust_assistant_masks_indices"

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, processed: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(processed.get("offset_mapping"), Tensor):
            processed["offset_mapping"] = processed["offset_mapping"].tolist()
        return getattr(self.processor, self.NAME)(processed, *args, **kwargs)


@dataclass(slots=True, eq=False)
class ProcessedSequence:
    """What the processor gave for a conversation, sorted."""

    input_ids: np.ndarray  # [length]
    token_inputs: dict[str, np.ndarray]  # [length] each
    media: dict[str, Tensor]
    trained: np.ndarray  # [length] bool

    @classmethod
    def of(cls, encoded: Any, images: bool) -> ProcessedSequence:
        input_ids = encoded["input_ids"][0].numpy()
        beside = {"input_ids", "attention_mask", "assistant_masks", "offset_mapping", "text_replacement_offsets"}
        beside |= {*TOKEN_INPUTS, *TARGETS}
        return cls(
            input_ids=input_ids,
            token_inputs={name: encoded[name][0].numpy() for name in TOKEN_INPUTS if name in encoded},
            media={name: _wide(value) for name, value in encoded.items() if name not in beside} if images else {},
            trained=np.zeros(len(input_ids), dtype=bool),
        )

    def ended(self, kept: int, eos: int) -> ProcessedSequence:
        """The first tokens and an end-of-sequence token, which is trained."""
        return ProcessedSequence(
            np.append(self.input_ids[:kept], eos),
            {name: np.append(values[:kept], 0) for name, values in self.token_inputs.items()},
            self.media,
            np.append(self.trained[:kept], True),
        )

    def tensors(self) -> dict[str, Tensor]:
        values = {"input_ids": self.input_ids, **self.token_inputs}
        return {name: torch.from_numpy(value)[None] for name, value in values.items()}


def _wide(value: Tensor) -> Tensor:
    """A tensor as it is, but pixels that a processor rounds (Llama 4) in the type that all models can be given."""
    return value.float() if isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16) else value
