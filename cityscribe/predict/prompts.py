"""Conversations as prompts: tokens and positions as the model numbers them, and what it takes for the images."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import TemplateError
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.media.images import open_image
from cityscribe.models.inputs import TOKEN_INPUTS, PreprocessOnce, position_rule
from cityscribe.records import text_of


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said so far, ending with a question. The n-th image block of the messages shows `images[n]`."""

    messages: tuple[dict[str, Any], ...]
    images: tuple[Path, ...] = ()
    max_new_tokens: int = 0  # of its answer; 0 takes that of the settings
    grammar: str = ""  # what its answer can be (`cityscribe.predict.grammars`); empty: anything


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """One conversation as the model sees it alone."""

    input_ids: np.ndarray  # [length] int64
    position_ids: np.ndarray  # [axes, length] int64
    images_end: int  # where its last image ends; 0 without images
    image_inputs: dict[str, Tensor]  # what the model takes for the images; empty without
    image_key: bytes  # a digest of `image_inputs`
    token_inputs: dict[str, Tensor]  # [1, length] each, what `generate` takes for each token beside its id

    @property
    def next_position(self) -> int:
        """The position of the token after the prompt, on every axis (one more than the largest of the prompt)."""
        return int(self.position_ids.max()) + 1

    @property
    def key(self) -> bytes:
        """Equal exactly where the prompts are."""
        return self.image_key + self.input_ids.tobytes()

    @property
    def images(self) -> bytes:
        """Equal exactly where the images and what stands before them are: such prompts can share them."""
        return self.image_key + self.input_ids[: self.images_end].tobytes()


def read_prompts(
    model: PreTrainedModel, processor: ProcessorMixin, conversations: Iterable[Conversation]
) -> list[Prompt]:
    """Tokenise conversations with the model's own template and processor. Each set of images is read once.

    Raises InputError for an image that cannot be read and for a conversation that the processor refuses.
    """
    conversations = list(conversations)
    positions = position_rule(model)
    opened: dict[tuple[Path, ...], tuple[list[Image.Image], Any]] = {}
    prompts = []
    for conversation in conversations:
        shown = conversation.images
        if shown not in opened:
            once = copy.copy(processor)
            once.image_processor = PreprocessOnce(processor.image_processor)
            opened[shown] = ([open_image(path) for path in shown], once)
        images, once = opened[shown]
        encoded = dict(_encode(once, conversation, images))
        token_inputs = {name: encoded[name] for name in TOKEN_INPUTS if name in encoded}
        known = {"input_ids", "attention_mask", *TOKEN_INPUTS}
        image_inputs = {name: value for name, value in encoded.items() if name not in known} if shown else {}
        input_ids = encoded["input_ids"][0].numpy()
        places = np.flatnonzero(input_ids == model.config.image_token_id) if shown else np.empty(0)
        prompts.append(
            Prompt(
                input_ids=input_ids,
                position_ids=positions({"input_ids": encoded["input_ids"], **token_inputs}, image_inputs),
                images_end=int(places[-1]) + 1 if len(places) else 0,
                image_inputs=image_inputs,
                image_key=_digest(image_inputs),
                token_inputs=token_inputs,
            )
        )
    return prompts


def with_images(conversation: Conversation, images: Sequence[Image.Image]) -> list[dict[str, Any]]:
    """Messages whose image blocks hold the images themselves. Raises InputError where the numbers differ."""
    blocks = sum(block["type"] == "image" for entry in conversation.messages for block in entry["content"])
    if blocks != len(images):
        asked = text_of(conversation.messages[-1])
        raise InputError(f"`{asked}`: the conversation has {blocks} image blocks and {len(images)} images")
    remaining = iter(images)
    return [
        {
            "role": entry["role"],
            "content": [
                {"type": "image", "image": next(remaining)} if block["type"] == "image" else block
                for block in entry["content"]
            ],
        }
        for entry in conversation.messages
    ]


def _encode(processor: ProcessorMixin, conversation: Conversation, images: Sequence[Image.Image]) -> Any:
    filled = with_images(conversation, images)
    try:
        return processor.apply_chat_template(
            [filled], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
    except (TemplateError, ValueError) as error:
        asked = text_of(conversation.messages[-1])
        raise InputError(f"the model's processor refuses `{asked}`: {error}") from error


def _digest(inputs: dict[str, Tensor]) -> bytes:
    if not inputs:
        return b""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(inputs):
        digest.update(f"{name} {list(inputs[name].shape)} {inputs[name].dtype} ".encode())
        digest.update(inputs[name].contiguous().numpy().tobytes())
    return digest.digest()
