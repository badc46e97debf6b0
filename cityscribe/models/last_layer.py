"""The last layer of a decoder, computed for the tokens alone whose logits are wanted.

All others it is asked for their keys and values only. What follows keys and values there (queries, the projection of
what attention gives, the feed-forward part) takes each token by itself, and of the other tokens nobody reads it: their
logits are not computed. Of a prompt with images that is most of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from cityscribe.files import InputError
from cityscribe.models.parts import decoder_layers
from cityscribe.models.replaced import replaced_forward

WANTED = "cityscribe_wanted"
"""The attribute by which attention is told whose results are wanted."""


@contextmanager
def last_layer_at(model: PreTrainedModel, keep: Tensor) -> Iterator[None]:
    """Within it the last layer of a decoder computes where `keep` [rows, length] is true, as far as its parts are
    known to take each token by itself. Nothing changes for a model that computes activations again: its layers run
    once more behind this."""
    places = keep.flatten().nonzero().squeeze(1)
    with ExitStack() as stack:
        for module in () if model.is_activation_checkpointing else _by_token(model):
            stack.enter_context(_at(module, keep, places))
        for attention in () if model.is_activation_checkpointing else _attention(model):
            vars(attention)[WANTED] = keep
            stack.callback(vars(attention).pop, WANTED)
        yield


def wanted_at(attention: nn.Module) -> Tensor | None:
    """The tokens [rows, length] whose result anybody reads of a layer's attention; None: all."""
    found: Tensor | None = vars(attention).get(WANTED)
    return found


def _by_token(model: PreTrainedModel) -> list[nn.Module]:
    """The parts of the last layer that take each token by itself."""
    found = [getattr(attention, name, None) for attention in _attention(model) for name in ("q_proj", "o_proj")]
    feed_forward = getattr(_last(model), "mlp", None)
    if feed_forward is not None and not _has_experts(feed_forward):
        found.append(feed_forward)
    return [module for module in found if isinstance(module, nn.Module)]


def _attention(model: PreTrainedModel) -> list[nn.Module]:
    found = getattr(_last(model), "self_attn", None)
    return [found] if isinstance(found, nn.Module) else []


def _last(model: PreTrainedModel) -> nn.Module | None:
    try:
        return decoder_layers(model)[-1]
    except InputError:
        return None


def _has_experts(module: nn.Module) -> bool:
    """Whether tokens share something there, such as room with experts."""
    return any(isinstance(part, nn.ModuleList) for part in module.modules()) or any(
        parameter.ndim > 2 for parameter in module.parameters()
    )


@contextmanager
def _at(module: nn.Module, keep: Tensor, places: Tensor) -> Iterator[None]:
    compute: Callable[..., Any] = module.forward

    def forward(hidden: Tensor, *more: Any, **options: Any) -> Any:
        if hidden.shape[:-1] != keep.shape:
            return compute(hidden, *more, **options)
        found = compute(hidden.flatten(0, 1).index_select(0, places)[None], *more, **options)[0]
        whole = found.new_zeros(keep.numel(), found.shape[-1]).index_copy(0, places, found)
        return whole.unflatten(0, keep.shape)

    with replaced_forward(module, forward):
        yield
