"""A few samples about a few noisy pictures, and tiny models to train on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.models.load import load_model, load_processor
from cityscribe.records import Sample, image_block, message, text_block
from cityscribe.traffic.meta import TrafficMeta

# Threads wait for each other longer than tiny models compute, all the more where tests run side by side.
torch.set_num_threads(1)

SIZES = (((60, 40), (30, 44)), ((64, 64), (20, 70)), ((33, 47), (50, 50)))  # width, height: different numbers of tiles
ASKED = (
    ("Where is the vehicle?", "On the left side of the pedestrian."),
    ("Where is the pedestrian?", "On the left side, far away."),
    ("Describe the weather.", "Dry."),
    ("Where is the vehicle?", "On the left side, moving straight."),
)


@dataclass(frozen=True)
class City:
    root: Path
    samples: tuple[Sample, ...]


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    """Three groups of two pictures and five conversations each, one of them of two rounds."""
    root = tmp_path_factory.mktemp("city")
    random = np.random.default_rng(0)
    samples = []
    for group, sizes in enumerate(SIZES):
        names = tuple(f"{group}-{number}.png" for number in range(2))
        for name, (width, height) in zip(names, sizes, strict=True):
            Image.fromarray(random.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(root / name)
        shared = [image_block(), image_block()]
        rounds = [
            [message("user", *shared, text_block(question)), message("assistant", text_block(answer))]
            for question, answer in ASKED
        ]
        rounds.append([*rounds[0], message("user", text_block("And how fast is it?")), *rounds[2][1:]])
        for number, messages in enumerate(rounds):
            meta = TrafficMeta(
                scenario=f"event_{group}", view="overhead", phase=group, kind="short", dimension=str(number)
            )
            samples.append(Sample(tuple(messages), names, f"group_{group}", meta))
    return City(root, tuple(samples))


@pytest.fixture
def load(tiny: Callable[[str], Path]) -> Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]:
    """A fresh tiny model of a family with its processor, every part of it alive."""

    def fresh(family: str) -> tuple[PreTrainedModel, ProcessorMixin]:
        model = load_model(tiny(family), dtype=torch.float32)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.parameters():
                if not parameter.any():  # a connector of zeros, as Gemma 3 begins with, would hide the images
                    parameter.normal_(0, 0.2, generator=generator)
        return model, load_processor(tiny(family))

    return fresh
