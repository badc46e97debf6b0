"""Switching how a decoder computes attention, for as long as a tree or a shared prefix is computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from transformers import PreTrainedModel

from cityscribe.models.parts import decoder


@contextmanager
def decoder_attention(model: PreTrainedModel, backend: str) -> Iterator[None]:
    """Within it the decoder computes attention by `backend`; the vision tower stays as it is.

    Raises ValueError with the reason where the decoder cannot.
    """
    text = model.config.get_text_config()
    before = text._attn_implementation
    part = next((name for name in model.config.sub_configs if vars(model.config).get(name) is text), "")
    try:
        model.set_attn_implementation({part: backend})
    except (ValueError, ImportError) as error:
        raise ValueError(str(error).partition(". ")[0]) from error
    try:
        if cast(PreTrainedModel, decoder(model)).config._attn_implementation != backend:
            raise ValueError(f"it is fixed to `{before}`")
        yield
    finally:
        model.set_attn_implementation({part: before})
