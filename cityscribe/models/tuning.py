"""What trains and what is frozen: the tuning methods, and a report of what they left trainable.

    report = prepare_tuning(model, settings.model)
    print(report)

A method changes the model in place and returns the parameters that train; everything else is frozen, by identity and
not by name. A method is one entry of `METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from cityscribe.models.block_expansion import add_blocks
from cityscribe.models.lora import add_lora
from cityscribe.models.parts import connector, named_parts
from cityscribe.records import InputError
from cityscribe.settings import ModelSettings


def train_all(model: PreTrainedModel, settings: ModelSettings) -> list[nn.Parameter]:
    """Everything trains, the vision tower too."""
    return list(model.parameters())


def train_connector(model: PreTrainedModel, settings: ModelSettings) -> list[nn.Parameter]:
    """Only what stands between the vision tower and the decoder trains: the first stage of LLaVA."""
    parameters = [parameter for module in connector(model) for parameter in module.parameters()]
    if not parameters:
        raise InputError(f"model.method: {type(model).__name__} has no connector of its own that could train alone")
    return parameters


METHODS: dict[str, Callable[[PreTrainedModel, ModelSettings], list[nn.Parameter]]] = {
    "block-expansion": add_blocks,
    "lora": add_lora,
    "full": train_all,
    "connector": train_connector,
}


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


def prepare_tuning(model: PreTrainedModel, settings: ModelSettings) -> TuningReport:
    """Change the model as the tuning method asks, and set what trains. Returns what came of it.

    Raises InputError where the method does not fit the model.
    """
    known = {id(parameter) for parameter in model.parameters()}
    trains = METHODS[settings.method](model, settings)
    model.requires_grad_(False)
    for parameter in trains:
        parameter.requires_grad_(True)
    parts = []
    added: list[nn.Parameter] = []
    for name, parameters in named_parts(model):
        added += [parameter for parameter in parameters if id(parameter) not in known]
        parts.append(_count(name, [parameter for parameter in parameters if id(parameter) in known]))
    parts.append(_count("new", added))
    return TuningReport(settings.method, tuple(part for part in parts if part.total))


def _count(name: str, parameters: list[nn.Parameter]) -> PartCount:
    return PartCount(name, sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad))


def _row(part: PartCount) -> tuple[str, str, str]:
    return part.part, f"{part.total:,}", f"{part.trainable:,}" if part.trainable else "frozen"
