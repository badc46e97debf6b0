"""Where the answers of a conversation stand among its tokens.

They are located by the template's `{% generation %}` marks where it has them, else as what the template adds to a
conversation when the assistant speaks; a conversation whose answers cannot be located is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import numpy as np
from transformers import ProcessorMixin

from cityscribe.files import InputError
from cityscribe.records import Messages, text_of


class Replacement(TypedDict):
    """How a processor wrote out an image: its span of characters in the text before and after, and its words."""

    span: tuple[int, int]
    new_span: tuple[int, int]
    replacement: str


GENERATION_MARK = re.compile(r"\{%[-+]?\s*generation\s*[-+]?%\}")

Render = Callable[..., str]
"""`render(messages, add_generation_prompt=False)`: a conversation as the template writes it."""


def marks_answers(processor: ProcessorMixin) -> bool:
    """Whether the chat template of a processor marks the answers itself."""
    template: Any = processor.chat_template
    return bool(GENERATION_MARK.search(template["default"] if isinstance(template, dict) else template))


def count_answers(name: str, messages: Messages) -> int:
    """How many answers a conversation has. Raises InputError for one without."""
    answers = sum(message["role"] == "assistant" for message in messages)
    if not answers:
        raise InputError(f"{name}: the assistant says nothing in it, so that there is nothing to learn")
    return answers


def marked_answers(name: str, mask: np.ndarray, answers: int) -> np.ndarray:
    """The trained tokens, bool [length], by the marks of the template. Raises InputError where they are too few."""
    trained = mask.astype(bool)
    runs = int((np.diff(trained.astype(np.int8), prepend=0) == 1).sum())
    if runs != answers:
        raise InputError(f"{name}: the chat template marks {runs} of its {answers} answers with `generation`")
    return trained


def located_answers(
    name: str,
    messages: Messages,
    render: Render,
    offsets: np.ndarray,
    replacements: Sequence[Replacement],
    placeholders: np.ndarray,
) -> np.ndarray:
    """The trained tokens, bool [length], by where the answers stand in the rendered text.

    `offsets` [length, 2] are the characters of each token in the text in which each image is written out in full, as
    `replacements` say. Raises InputError as `answer_spans` does, and for an answer without tokens.
    """
    spans = [_expand(span, replacements) for span in answer_spans(name, messages, render)]
    tokens = [_overlapping(offsets, span) & ~placeholders for span in spans]
    if not all(places.any() for places in tokens):
        raise InputError(f"{name}: an answer has no tokens")
    trained: np.ndarray = np.logical_or.reduce(tokens)
    return trained


def answer_spans(name: str, messages: Messages, render: Render) -> list[tuple[int, int]]:
    """Where the answers stand in the rendered conversation, in characters, with the mark that ends a turn.

    An answer begins where the conversation before it, with the generation prompt, ends. A template whose generation
    prompt holds more than what stands before answers (an opened block of thoughts) is asked without it, and the answer
    begins with its first word. Raises InputError where a template renders the past differently once it goes on.
    """
    whole = render(messages)
    spans: list[tuple[int, int]] = []
    for turn, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        answer = text_of(message).strip()
        past = render(messages[:turn]) if turn else ""
        prompt = render(messages[:turn], add_generation_prompt=True) if turn else ""
        until = render(messages[: turn + 1])
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


def open_end(processor: ProcessorMixin, input_ids: np.ndarray, trained: np.ndarray) -> int | None:
    """How many tokens to keep before an end-of-sequence token is to follow; None where the last answer is ended.

    The templates of LLaVA-1.5 end an answer with a space: a model that learns from them alone never stops.
    """
    tokenizer = processor.tokenizer
    last_answer = int(np.flatnonzero(np.diff(trained.astype(np.int8), prepend=0) == 1)[-1])
    special = np.isin(input_ids, tokenizer.all_special_ids)
    if special[last_answer:].any() or tokenizer.eos_token_id is None:
        return None
    length = len(input_ids)
    while not tokenizer.decode([int(input_ids[length - 1])]).strip():
        length -= 1
    return length


def _expand(span: tuple[int, int], replacements: Sequence[Replacement]) -> tuple[int, int]:
    """Where a span of the rendered text, behind the images, lies once each image placeholder is written out in full."""
    shift = 0
    for replacement in replacements:
        if replacement["span"][1] <= span[0]:
            shift = replacement["new_span"][1] - replacement["span"][1]
    return span[0] + shift, span[1] + shift


def _overlapping(offsets: np.ndarray, span: tuple[int, int]) -> np.ndarray:
    """Which tokens share a character with a span: those astride its border too, it is not whole without them."""
    starts, ends = offsets.T
    return (starts < span[1]) & (ends > span[0])
