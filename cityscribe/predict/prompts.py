"""Conversations that are to be asked, and their prompts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.records import text_of
from cityscribe.tokens.encode import Encoded, Encoder
from cityscribe.tokens.shown import Media, media_blocks, read_media


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said so far, ending with a question. The n-th image block of the messages shows `images[n]`."""

    messages: tuple[dict[str, Any], ...]
    images: tuple[Path, ...] = ()
    max_new_tokens: int = 0  # of its answer; 0 takes that of the settings
    grammar: str = ""  # what its answer can be (`cityscribe.predict.grammars`); empty: anything


Prompt = Encoded
"""One conversation as the model sees it alone."""


def read_prompts(
    model: PreTrainedModel, processor: ProcessorMixin, conversations: Iterable[Conversation]
) -> list[Prompt]:
    """Tokenise conversations with the model's own template and processor. Each set of images is read once.

    Raises InputError for an image that cannot be read and for a conversation that the processor refuses.
    """
    encoder = Encoder(model, processor)
    opened: dict[str, list[Media]] = {}
    prompts = []
    for conversation in conversations:
        name = f"`{text_of(conversation.messages[-1])}`"
        shown = repr((conversation.images, media_blocks(conversation.messages)))
        if shown not in opened:
            opened[shown] = read_media(name, conversation.messages, conversation.images, Path())
        prompts.append(encoder.ask(name, conversation.messages, opened[shown]))
    return prompts
