"""How far back the layers of a decoder see, and switching how it computes attention while a tree or a shared prefix is
computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from transformers import PreTrainedModel

from cityscribe.models.parts import decoder
from cityscribe.models.recurrent import forking, recurrent_layers

STATEFUL = ("linear_attention", "conv")
"""Types of layers that carry a state."""

ALONE = ("mlp", "moe")
"""Types of layers that take each token by itself."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back the attention of a layer sees, in tokens of the own sequence."""

    window: int = 0  # itself and so many less one before it; 0: all
    chunk: int = 0  # the sequence is cut into pieces of so many, none of which sees another; 0: it is not

    def covers(self, length: int) -> bool:
        """Whether each token of a sequence of this length sees all before it."""
        return (not self.window or length <= self.window) and (not self.chunk or length <= self.chunk)


def layer_types(model: PreTrainedModel) -> list[str]:
    """The type of each layer of a decoder, as its configuration has it."""
    text = model.config.get_text_config()
    values = vars(text)
    usual = "sliding_attention" if values.get("sliding_window") else "full_attention"
    return list(getattr(text, "layer_types", None) or [usual] * text.num_hidden_layers)


def reaches(model: PreTrainedModel) -> dict[str, Reach]:
    """How far back layers see, by their type: those with attention.

    Raises ValueError for layers that nothing is known about.
    """
    text = vars(model.config.get_text_config())  # `to_dict` would leave circles of objects behind each time
    types = layer_types(model)
    known = recurrent_layers(model)
    found: dict[str, Reach] = {}
    strange = set()
    for number, kind in enumerate(types):
        if kind == "full_attention":
            found[kind] = Reach()
        elif kind == "sliding_attention":
            found[kind] = Reach(window=int(text.get("sliding_window") or 0))
        elif kind == "chunked_attention":
            found[kind] = Reach(chunk=int(text.get("attention_chunk_size") or 0))
        elif kind not in ALONE and not (kind in STATEFUL and number in known):
            strange.add(kind)
    if text.get("cross_attention_layers"):
        strange.add("cross_attention")
    if strange:
        raise ValueError(f"its decoder has layers of {', '.join(sorted(strange))}")
    return found


@contextmanager
def decoder_attention(model: PreTrainedModel, backend: str) -> Iterator[None]:
    """Within it the decoder computes attention by `backend`, and its recurrent layers go by what is `forked`; the
    vision tower stays as it is.

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
        with forking(model):
            yield
    finally:
        model.set_attn_implementation({part: before})
