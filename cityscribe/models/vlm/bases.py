"""The language model that a model from parts begins with: its tokenizer and its decoder.

A base is a folder, a hub id, or a GGUF file, whose packed weights are unpacked. Of a model that reads images its
decoder and its head are taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

from cityscribe.files import InputError
from cityscribe.models.gguf_file import read_once
from cityscribe.models.load import named_errors, resolve_base
from cityscribe.models.saved import check_finite
from cityscribe.models.tokenizer import CHAT_TEMPLATE, END, IMAGE, START

GGUF = ".gguf"


def read_tokenizer(base: str) -> PreTrainedTokenizerBase:
    """A tokenizer with a token for images, one that ends a turn, and a chat template that marks the answers."""
    place, file = _files(base)
    with named_errors(place, "its tokenizer"), read_once() if file else contextlib.nullcontext():
        tokenizer: Any = AutoTokenizer.from_pretrained(place, trust_remote_code=False, **file)
    tokenizer.add_special_tokens(
        {"extra_special_tokens": [IMAGE, START], "eos_token": END}, replace_extra_special_tokens=False
    )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def read_decoder(
    base: str, tokenizer: PreTrainedTokenizerBase, seed: int, changed: Mapping[str, Any] | None = None
) -> PreTrainedModel:
    """A causal language model with a row of its embeddings for each token. `changed` are fields of its configuration
    that get another value; weights that this adds, as norms of queries and keys, and new rows are drawn by the seed.

    Raises InputError for a field that the configuration has not, and a changed field of a model that sees.
    """
    place, file = _files(base)
    with (
        torch.random.fork_rng(devices=[]),
        named_errors(place, "its weights"),
        read_once() if file else contextlib.nullcontext(),
    ):
        config = AutoConfig.from_pretrained(place, trust_remote_code=False, **file)
        torch.manual_seed(seed)
        sees = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        for name, value in (changed or {}).items():
            if sees or name not in config.to_dict():
                raise InputError(f"decoder.config: {name}: no field of a {config.model_type} that can be changed")
            setattr(config, name, value)
        given = {"config": config} if changed else {}
        model: Any = (AutoModelForImageTextToText if sees else AutoModelForCausalLM).from_pretrained(
            place, dtype=torch.float32, use_safetensors=not file, trust_remote_code=False, **file, **given
        )
        model = _alone(model) if sees else model
    check_finite(model, place)
    if len(tokenizer) > model.config.vocab_size:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model.resize_token_embeddings(len(tokenizer))
    found: PreTrainedModel = model
    return found


def _alone(model: Any) -> Any:
    """The language model that a model which reads images has in it."""
    text = model.config.get_text_config()
    with torch.device("meta"):
        alone: Any = AutoModelForCausalLM.from_config(text)
    alone.get_decoder().load_state_dict(model.get_decoder().state_dict(), assign=True)
    alone.get_output_embeddings().load_state_dict(model.get_output_embeddings().state_dict(), assign=True)
    for name, buffer in model.get_decoder().named_buffers():  # those that are not saved, as angles of positions
        owner, _, last = name.rpartition(".")
        alone.get_decoder().get_submodule(owner)._buffers[last] = buffer
    alone.tie_weights()
    return alone


def _files(base: str) -> tuple[str, dict[str, str]]:
    """The folder or hub id of a base, and which of its files holds it where that is a GGUF file."""
    if base.endswith(GGUF) and Path(base).is_file():
        return str(Path(base).parent), {"gguf_file": Path(base).name}
    return resolve_base(base), {}
