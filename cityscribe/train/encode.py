"""Turn conversations about the same images into tokens, and find the answers in them.

    group = encode_group(processor, [(name, messages), ...], images)

Every conversation is tokenised whole, by the model's own processor and chat template, so that the result is right for
any template. The answers are located by the template's `{% generation %}` marks where it has them, else as what the
template adds to a conversation when the assistant speaks; a conversation whose answers cannot be located is an error.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jinja2 import TemplateError
from PIL import Image
from torch import Tensor
from transformers import ProcessorMixin

from cityscribe.files import InputError
from cityscribe.models.inputs import TOKEN_INPUTS, PreprocessOnce
from cityscribe.records import image_block, text_of

Messages = Sequence[dict[str, Any]]

GENERATION_MARK = re.compile(r"\{%[-+]?\s*generation\s*[-+]?%\}")


@dataclass(frozen=True, slots=True, eq=False)
class Conversation:
    """One conversation as tokens."""

    input_ids: np.ndarray  # [length] int64
    trained: np.ndarray  # [length] bool, the answers and what ends them
    token_inputs: dict[str, np.ndarray]  # name of TOKEN_INPUTS -> [length] int64, as far as the processor gives them

    def tensors(self) -> dict[str, Tensor]:
        """Tokens and what stands beside them, [1, length] each."""
        values = {"input_ids": self.input_ids, **self.token_inputs}
        return {name: torch.from_numpy(value)[None] for name, value in values.items()}


@dataclass(frozen=True, slots=True, eq=False)
class EncodedGroup:
    """Conversations about the same images."""

    conversations: list[Conversation]
    image_inputs: dict[str, Tensor]  # what the model takes beside tokens, for one conversation; empty without images


def encode_group(
    processor: ProcessorMixin, conversations: Sequence[tuple[str, Messages]], images: Sequence[Image.Image]
) -> EncodedGroup:
    """Tokenise (name, messages) pairs that all show `images` in the places of their image blocks.

    Raises InputError with the name of a conversation that has another number of image blocks, that the template does
    not accept, or whose answers cannot be located.
    """
    once = copy.copy(processor)
    once.image_processor = PreprocessOnce(processor.image_processor)
    image_inputs = encode_images(once, *conversations[0], images)
    return EncodedGroup([encode(once, name, messages, images) for name, messages in conversations], image_inputs)


def encode_images(
    processor: ProcessorMixin, name: str, messages: Messages, images: Sequence[Image.Image]
) -> dict[str, Tensor]:
    """What the model takes for the images of one conversation, as its processor gives it: `pixel_values` and so on."""
    if not images:
        return {}
    encoded = _apply(processor, name, _with_images(name, messages, images), return_tensors="pt")
    return {key: value for key, value in encoded.items() if key not in ("input_ids", "attention_mask", *TOKEN_INPUTS)}


def encode(processor: ProcessorMixin, name: str, messages: Messages, images: Sequence[Image.Image]) -> Conversation:
    """Tokenise one conversation and mark its answers. Raises InputError as `encode_group` does."""
    filled = _with_images(name, messages, images)
    answers = sum(message["role"] == "assistant" for message in messages)
    if not answers:
        raise InputError(f"{name}: the assistant says nothing in it, so that there is nothing to learn")
    if GENERATION_MARK.search(_template(processor)):
        encoded = _apply(processor, name, filled, return_assistant_tokens_mask=True)
        trained = np.array(encoded["assistant_masks"][0], dtype=bool)
        runs = int((np.diff(trained.astype(np.int8), prepend=0) == 1).sum())
        if runs != answers:
            raise InputError(f"{name}: the chat template marks {runs} of its {answers} answers with `generation`")
    else:
        spans = answer_spans(processor, name, messages)
        encoded = _apply(
            processor,
            name,
            filled,
            processor_kwargs={"return_offsets_mapping": True, "return_text_replacement_offsets": True},
        )
        replaced = encoded["text_replacement_offsets"][0] if "text_replacement_offsets" in encoded else []
        tokens = [_overlapping(encoded["offset_mapping"][0], _expand(span, replaced)) for span in spans]
        if not all(places.any() for places in tokens):
            raise InputError(f"{name}: an answer has no tokens")
        trained = np.logical_or.reduce(tokens)
    input_ids = np.array(encoded["input_ids"][0], dtype=np.int64)
    token_inputs = {key: np.array(encoded[key][0], dtype=np.int64) for key in TOKEN_INPUTS if key in encoded}
    return _ended(processor, Conversation(input_ids, trained, token_inputs))


def answer_spans(processor: ProcessorMixin, name: str, messages: Messages) -> list[tuple[int, int]]:
    """Where the answers stand in the rendered conversation, in characters, with the mark that ends a turn.

    An answer begins where the conversation before it, with the generation prompt, ends. A template whose generation
    prompt holds more than what stands before answers (an opened block of thoughts) is asked without it, and the answer
    begins with its first word. Raises InputError where a template renders the past differently once it goes on.
    """
    whole = _render(processor, name, messages)
    spans: list[tuple[int, int]] = []
    for turn, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        answer = text_of(message).strip()
        past = _render(processor, name, messages[:turn]) if turn else ""
        prompt = _render(processor, name, messages[:turn], add_generation_prompt=True) if turn else ""
        until = _render(processor, name, messages[: turn + 1])
        known = bool(answer) and whole.startswith(until)
        if known and until.startswith(prompt) and answer in until[len(prompt) :]:
            start = len(prompt)
        elif known and until.startswith(past) and until.count(answer, len(past)) == 1:
            start = until.index(answer, len(past))
        else:
            raise InputError(
                f"{name}: cannot tell where answer {len(spans) + 1} stands in the rendered conversation; "
                "mark it with {% generation %} in the chat template"
            )
        spans.append((start, len(until.rstrip())))
    return spans


def _ended(processor: ProcessorMixin, conversation: Conversation) -> Conversation:
    """The conversation with an end-of-sequence token after the last answer, where the template puts nothing there.

    The templates of LLaVA-1.5 end an answer with a space: a model that learns from them alone never stops.
    """
    tokenizer = processor.tokenizer
    ids, trained = conversation.input_ids, conversation.trained
    last_answer = int(np.flatnonzero(np.diff(trained.astype(np.int8), prepend=0) == 1)[-1])
    special = np.isin(ids, tokenizer.all_special_ids)
    if special[last_answer:].any() or tokenizer.eos_token_id is None:
        return conversation
    length = len(ids)
    while not tokenizer.decode([int(ids[length - 1])]).strip():
        length -= 1
    return Conversation(
        np.append(ids[:length], tokenizer.eos_token_id),
        np.append(trained[:length], True),
        {key: np.append(values[:length], 0) for key, values in conversation.token_inputs.items()},
    )


def _with_images(name: str, messages: Messages, images: Sequence[Image.Image]) -> list[dict[str, Any]]:
    blocks = sum(block["type"] == "image" for message in messages for block in message["content"])
    if blocks != len(images):
        raise InputError(f"{name}: has {blocks} image blocks and {len(images)} images")
    remaining = iter(images)
    return [
        {
            **message,
            "content": [
                {**image_block(), "image": next(remaining)} if block["type"] == "image" else block
                for block in message["content"]
            ],
        }
        for message in messages
    ]


def _template(processor: ProcessorMixin) -> str:
    template: Any = processor.chat_template
    return template["default"] if isinstance(template, dict) else template


def _apply(processor: ProcessorMixin, name: str, messages: Messages, **kwargs: Any) -> Any:
    try:
        return processor.apply_chat_template(list(messages), tokenize=True, return_dict=True, **kwargs)
    except (TemplateError, ValueError) as error:
        raise InputError(f"{name}: the processor refuses this conversation: {error}") from error


def _render(processor: ProcessorMixin, name: str, messages: Messages, **kwargs: Any) -> str:
    try:
        return processor.apply_chat_template(list(messages), tokenize=False, **kwargs)
    except TemplateError as error:
        raise InputError(f"{name}: the chat template refuses this conversation: {error}") from error


def _expand(span: tuple[int, int], replacements: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Where a span of the rendered text, behind the images, lies once each image placeholder is written out in full."""
    shift = 0
    for replacement in replacements:
        if replacement["span"][1] <= span[0]:
            shift = replacement["new_span"][1] - replacement["span"][1]
    return span[0] + shift, span[1] + shift


def _overlapping(offsets: Sequence[Sequence[int]], span: tuple[int, int]) -> np.ndarray:
    """Which tokens share a character with a span: those astride its border too, it is not whole without them."""
    starts, ends = np.array(offsets, dtype=np.int64).T
    return (starts < span[1]) & (ends > span[0])
