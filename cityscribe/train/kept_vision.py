"""What a frozen vision tower gives for an image: computed once in a training, and kept while there is room.

    with vision_kept(model):             # a training
        with showing(model, keys):       # a forward pass, whose images have these content keys
            model(...)

A training by comparison passes over its images more than once: for what the model said before, in each epoch, and in
each update of answers that were sampled. Each image is computed by itself, so that what the tower gives for it does not
depend on what else is in a batch, nor on what was kept before a training was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from cityscribe.models.parts import vision_tower
from cityscribe.models.precision import DROPOUTS
from cityscribe.models.replaced import replaced_forward

ROOM = 512 * 2**20
"""Bytes of main memory for what is kept."""

KEPT = "cityscribe_kept"
"""The attribute of a tower that has what was kept."""


@dataclass(slots=True, eq=False)
class KeptOutputs:
    """What a tower gave."""

    keys: Sequence[bytes] = ()  # the content keys of the images that the next pass shows; empty: not known
    known: dict[tuple[bytes, str], ModelOutput] = field(default_factory=dict)  # by key and options of the call
    size: int = 0  # bytes of all that


@contextmanager
def vision_kept(model: PreTrainedModel) -> Iterator[None]:
    """Within it a tower of which nothing trains computes each image once. Nothing changes for any other."""
    tower = vision_tower(model)
    if tower is None or not is_fixed(tower):
        yield
        return
    kept = KeptOutputs()
    vars(tower)[KEPT] = kept
    try:
        with replaced_forward(tower, _by_image(tower.forward, kept)):
            yield
    finally:
        del vars(tower)[KEPT]


@contextmanager
def showing(model: nn.Module, keys: Sequence[bytes]) -> Iterator[None]:
    """Within it the images that the tower of `model` gets have these content keys, in their order."""
    kept = next((vars(part)[KEPT] for part in model.modules() if KEPT in vars(part)), None) if keys else None
    if kept is None:
        yield
        return
    kept.keys = keys
    try:
        yield
    finally:
        kept.keys = ()


def is_fixed(tower: nn.Module) -> bool:
    """Whether a module always gives the same for the same: nothing in it trains, is counted or is drawn."""
    config = getattr(tower, "config", None)
    settings = {} if config is None else vars(config)
    return (
        not any(parameter.requires_grad for parameter in tower.parameters())
        and not any(getattr(part, "running_mean", None) is not None for part in tower.modules())
        and not any(isinstance(part, DROPOUTS) and part.p for part in tower.modules())
        and not any("drop" in name and value for name, value in settings.items())
    )


def _by_image(compute: Callable[..., Any], kept: KeptOutputs) -> Callable[..., Any]:
    def forward(pixels: Any = None, *more: Any, **options: Any) -> Any:
        keys = kept.keys
        known = isinstance(pixels, Tensor) and pixels.ndim == 4 and len(pixels) == len(keys)  # an image a row
        if not known or more or any(isinstance(value, Tensor) for value in options.values()):
            given = () if pixels is None else (pixels,)
            return compute(*given, *more, **options)
        named = [(key, repr(sorted(options.items()))) for key in keys]
        found: list[Any] = []
        for place, name in enumerate(named):
            output = kept.known.get(name)
            if output is None:
                output = compute(pixels[place : place + 1], **options)
                if not isinstance(output, ModelOutput):
                    return compute(pixels, **options)
                _keep(kept, name, output)
            found.append(output)
        return type(found[0])(**{field: _joined([each[field] for each in found], pixels) for field in found[0]})

    return forward


def _keep(kept: KeptOutputs, name: tuple[bytes, str], output: ModelOutput) -> None:
    size = sum(part.nbytes for value in output.values() for part in _tensors(value))
    if kept.size + size <= ROOM:
        kept.size += size
        kept.known[name] = type(output)(**{field: _moved(value) for field, value in output.items()})


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)


def _moved(value: Any) -> Any:
    """A value of an output in main memory."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu")
    return tuple(_moved(part) for part in value) if isinstance(value, tuple | list) else value


def _joined(values: Sequence[Any], beside: Tensor) -> Any:
    """The same value of the outputs of several images, [1, ...] each, as that of all of them."""
    if isinstance(values[0], Tensor):
        return torch.cat([value.to(beside.device) for value in values])
    if isinstance(values[0], tuple | list):
        return tuple(_joined(parts, beside) for parts in zip(*values, strict=True))
    return values[0]
