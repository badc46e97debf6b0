"""What trains and what is frozen: the tuning methods, and a report of what they left trainable.

    model, processor = load_for_tuning(settings.model, dtype=torch.float32)
    report = prepare_tuning(model, settings.model)
    print(report)

A method changes the model in place and returns the parameters that train; everything else is frozen, by identity and
not by name. `freeze` and `unfreeze` of the settings then take parts out and add parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.models.four_bit import count_weights
from cityscribe.models.load import load_model, load_processor
from cityscribe.models.parts import named_parts, parameters_of
from cityscribe.models.positions import stretch_positions
from cityscribe.models.precision import resolve_dtype
from cityscribe.models.quantise.loading import is_packed
from cityscribe.models.seams import TUNING
from cityscribe.models.settings import ModelSettings
from cityscribe.models.vlm.model import Vlm


@dataclass(frozen=True, slots=True)
class PartCount:
    """Parameters of one part of the model."""

    part: str
    total: int
    trainable: int


@dataclass(frozen=True, slots=True)
class TuningReport:
    """What a method left trainable, part by part. Printing it gives a table."""

    method: str
    parts: tuple[PartCount, ...]

    @property
    def total(self) -> int:
        return sum(part.total for part in self.parts)

    @property
    def trainable(self) -> int:
        return sum(part.trainable for part in self.parts)

    def __str__(self) -> str:
        rows = [("part", "parameters", "trains"), *(_row(part) for part in self.parts)]
        rows.append(_row(PartCount(f"all ({self.method})", self.total, self.trainable)))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows)


def tuning_dtype(settings: ModelSettings, precision: Literal["auto", "bf16", "fp32"]) -> torch.dtype:
    """What a model is loaded in for its tuning: float32, since steps are lost in the digits of bf16; a decoder in four
    bits computes in the precision that is set."""
    return resolve_dtype(precision) if settings.method == "qlora" else torch.float32


def load_for_tuning(settings: ModelSettings, *, dtype: torch.dtype) -> tuple[PreTrainedModel, ProcessorMixin]:
    """The base model as the settings want it tuned (without tiles, in four bits, stretched), and its processor.

    Raises InputError as `load_model` and `load_processor` do.
    """
    model = load_model(settings.base, dtype=dtype, tiles=settings.tiles, four_bit=settings.method == "qlora")
    if is_packed(model):
        raise InputError(f"model.base {settings.base}: its weights are packed; tune the checkpoint that it was made of")
    if settings.stretch is not None:
        stretch_positions(model, settings.stretch)
    if settings.keep_features is not None:
        keep_features(model, settings.keep_features)
    return model, load_processor(settings.base, tiles=settings.tiles)


def keep_features(model: PreTrainedModel, folder: Path) -> None:
    """Keep what the frozen towers of a model from parts make of images in a folder. Raises InputError for another
    model."""
    if not isinstance(model, Vlm):
        raise InputError(f"model.keep_features: {type(model).__name__} is no model from parts")
    model.model.keep_features(folder)


def prepare_tuning(model: PreTrainedModel, settings: ModelSettings) -> TuningReport:
    """Change the model as the tuning method asks, and set what trains. Returns what came of it.

    Raises InputError where the method does not fit the model.
    """
    known = {id(parameter) for parameter in model.parameters()}
    trains = TUNING[settings.method](model, settings)
    trains += parameters_of(model, settings.unfreeze, "model.unfreeze")
    model.requires_grad_(False)
    for parameter in trains:
        if not parameter.is_floating_point():
            raise InputError("model.unfreeze: the decoder's weights are in four bits, only its adapters can train")
        parameter.requires_grad_(True)
    for parameter in parameters_of(model, settings.freeze, "model.freeze"):
        parameter.requires_grad_(False)
    parts = []
    added: list[nn.Parameter] = []
    for name, parameters in named_parts(model):
        added += [parameter for parameter in parameters if id(parameter) not in known]
        parts.append(_count(name, [parameter for parameter in parameters if id(parameter) in known]))
    parts.append(_count("new", added))
    return TuningReport(settings.method, tuple(part for part in parts if part.total))


def _count(name: str, parameters: list[nn.Parameter]) -> PartCount:
    trains = [parameter for parameter in parameters if parameter.requires_grad]
    return PartCount(name, sum(map(count_weights, parameters)), sum(map(count_weights, trains)))


def _row(part: PartCount) -> tuple[str, str, str]:
    return part.part, f"{part.total:,}", f"{part.trainable:,}" if part.trainable else "frozen"
