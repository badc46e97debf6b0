"""How much a training computes, in floating-point operations, and how long that takes.

Of a token a linear layer of N weights takes 2 N operations forward, as many backward for what it reads, and as many for
its weights where these train. With gradient checkpointing what is needed backward is computed once more. Attention
takes 4 c w operations of a token that sees c others in a layer of width w, and twice that backward. So (Kaplan et al.
2020, section 2.1, with frozen parts left out):

    operations = 2 N T                      forward, decoder and head
               + 2 N' T                     backward through what stands behind the first that trains
               + 2 M T                      gradients of the M weights that train
               + 2 N' T                     again, with checkpointing
               + the same of the vision tower for its patches

Hours are operations by the peak of a device (dense bf16, as its maker states it) times a share of it that is reached.
That share is an assumption: published trainings of models of this kind report 0.3 to 0.4 on A800 cards.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from cityscribe.models.parts import connector, decoder_layers, vision_tower

REACHED = 0.3
"""The share of a device's peak that a training is assumed to reach."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as its maker describes it."""

    name: str
    memory_gb: int  # 10^9 bytes
    peak: float  # dense bf16 operations a second


DEVICES = (
    Gpu("RTX 4090", 24, 165e12),
    Gpu("L40S", 48, 362e12),
    Gpu("H100", 80, 989e12),
    Gpu("H200", 141, 989e12),
)


@dataclass(frozen=True, slots=True)
class TrainingWork:
    """Operations of one epoch."""

    decoder: float
    tower: float

    @property
    def total(self) -> float:
        return self.decoder + self.tower

    def hours(self, device: Gpu, devices: int = 1, reached: float = REACHED) -> float:
        return self.total / (device.peak * reached * devices) / 3600


def work_of(
    model: PreTrainedModel, *, tokens: float, trained_tokens: float, patches: float, context: float, checkpointing: bool
) -> TrainingWork:
    """Of an epoch of `tokens` distinct tokens, `trained_tokens` of them with a loss, that see `context` others each on
    average, and `patches` of images. The model is prepared for tuning; it may be on meta."""
    layers = list(decoder_layers(model))
    sizes = [_numbers(layer) for layer in layers]
    trains = [_numbers(layer, trained=True) for layer in layers]
    before = _trains_before_decoder(model)
    first = 0 if before else next((n for n, count in enumerate(trains) if count), len(layers))
    behind = sum(sizes[first:])
    again = 1 if checkpointing else 0
    operations = 2 * tokens * (sum(sizes) + behind * (1 + again) + sum(trains))
    text = model.config.get_text_config()
    attention = 4 * context * text.hidden_size * tokens
    operations += attention * (len(layers) + (2 + again) * (len(layers) - first))
    head = model.get_output_embeddings()
    if head is not None:
        operations += 2 * trained_tokens * head.weight.numel() * (2 + head.weight.requires_grad)
    return TrainingWork(operations, _tower_work(model, patches, again))


def _tower_work(model: PreTrainedModel, patches: float, again: int) -> float:
    tower = vision_tower(model)
    if tower is None:
        return 0.0
    total, trains = _numbers(tower), _numbers(tower, trained=True)
    return 2 * patches * (total + (total * (1 + again) + trains if trains else 0))


def _trains_before_decoder(model: PreTrainedModel) -> bool:
    tower = vision_tower(model)
    parts = [model.get_input_embeddings(), *connector(model), *([tower] if tower is not None else [])]
    return any(_numbers(part, trained=True) for part in parts)


def _numbers(module: nn.Module, trained: bool = False) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trained)
