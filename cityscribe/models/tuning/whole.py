"""The methods that put nothing into a model: all of it trains, a part of it, or nothing."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

from cityscribe.files import InputError
from cityscribe.models.parts import connector
from cityscribe.models.settings import ModelSettings


def train_all(model: PreTrainedModel, settings: ModelSettings) -> list[nn.Parameter]:
    """Everything trains, the vision tower too."""
    return list(model.parameters())


def train_connector(model: PreTrainedModel, settings: ModelSettings) -> list[nn.Parameter]:
    """Only what stands between the vision tower and the decoder trains: the first stage of LLaVA."""
    parameters = [parameter for module in connector(model) for parameter in module.parameters()]
    if not parameters:
        raise InputError(f"model.method: {type(model).__name__} has no connector of its own that could train alone")
    return parameters


def train_nothing(model: PreTrainedModel, settings: ModelSettings) -> list[nn.Parameter]:
    """The base stays as it is."""
    return []
