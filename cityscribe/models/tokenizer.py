"""A tokenizer and a chat template for a small model of our own.

Byte-level BPE, so that any text survives the way there and back. Digits stand alone, so that numbers have one spelling.
Conversations are written in the manner of ChatML; `{% generation %}` marks what the assistant says, so that training
knows which tokens are answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from cityscribe.files import InputError

PAD, START, END, IMAGE = "<pad>", "<|im_start|>", "<|im_end|>", "<image>"
NO_TOKENS: Mapping[str, str] = MappingProxyType({})

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\n' -}}
{%- set text = namespace(value='') -%}
{%- if message['content'] is string -%}
{%- set text.value = message['content'] -%}
{%- else -%}
{%- for block in message['content'] -%}
{%- if block['type'] == 'image' -%}
{%- set text.value = text.value + '<image>' -%}
{%- else -%}
{%- set text.value = text.value + block['text'] -%}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- if message['role'] == 'assistant' -%}
{%- generation -%}{{- text.value + '<|im_end|>' -}}{%- endgeneration -%}
{%- else -%}
{{- text.value + '<|im_end|>' -}}
{%- endif -%}
{{- '\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\n' -}}
{%- endif -%}
"""
"""Typed content blocks and plain strings, any number of images, where they stand in the message."""


def train_tokenizer(
    texts: Iterable[str], vocab_size: int, special: Mapping[str, str] = NO_TOKENS
) -> PreTrainedTokenizerFast:
    """Learn a byte-level BPE vocabulary of at most `vocab_size` entries. Equal texts give equal vocabularies.

    `special` names further special tokens: `{"video_token": "<video>"}` becomes `tokenizer.video_token`. Padding goes
    to the left, which generation in batches needs. Raises InputError where the vocabulary could not hold every byte.
    """
    named = {"start_token": START, "image_token": IMAGE, **special}
    tokens = list(dict.fromkeys((PAD, END, *named.values())))
    smallest = len(tokens) + 256
    if vocab_size < smallest:
        raise InputError(f"a vocabulary of {vocab_size} entries is too small: bytes and special tokens are {smallest}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=tokens,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        extra_special_tokens=named,
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
    )
