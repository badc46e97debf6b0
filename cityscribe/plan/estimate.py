"""The plan of a project: what its settings come to on one device or several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from cityscribe.files import InputError, read_json
from cityscribe.models.parts import vision_tower
from cityscribe.models.tuning.prepare import TuningReport, prepare_tuning
from cityscribe.plan.base import base_config, without_weights
from cityscribe.plan.memory import DeviceMemory, memory_of
from cityscribe.plan.tokens import ImageSize, prompt_tokens
from cityscribe.plan.work import DEVICES, REACHED, Gpu, TrainingWork, work_of
from cityscribe.project import Settings
from cityscribe.records import Sample, read_samples, text_of
from cityscribe.train.sharing import Sharing
from cityscribe.train.supervised import count_steps

GROUPS = 10_000
"""Image groups of a data set that nobody has counted."""

LONG_TOKENS, SHORT_TOKENS = (60, 150), (30, 25)
"""Tokens of a question and its answer where no samples are prepared: captions of a hundred words, and parts of them."""

CHARACTERS = 4
"""Of English text, to a token."""

FRAME: ImageSize = (1920, 1080)
"""Of a video that nobody has opened."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What a training sees in one epoch."""

    groups: int
    samples: float  # of a group
    images: int  # of a sample
    visual_tokens: int  # of a sample
    question_tokens: float  # of a group, all samples together
    answer_tokens: float  # the same
    counted: str  # where the figures come from

    @property
    def distinct(self) -> float:
        """Tokens of a group that are computed, its images once."""
        return self.visual_tokens + self.question_tokens + self.answer_tokens

    @property
    def effective(self) -> float:
        """Tokens of a group with its images for each sample."""
        return self.distinct + (self.samples - 1) * self.visual_tokens


@dataclass(frozen=True, slots=True)
class Fit:
    """A training on devices of one kind."""

    device: Gpu
    devices: int
    sharing: Sharing
    memory: DeviceMemory
    hours: float

    @property
    def fits(self) -> bool:
        return self.memory.total <= self.device.memory_gb * 1e9


@dataclass(frozen=True, slots=True)
class ProjectPlan:
    """What a project comes to. Only parameters and their memory are counted; the rest is estimated."""

    base: str
    method: str
    tuning: TuningReport
    workload: Workload
    steps: int
    memory: DeviceMemory  # on one device
    work: TrainingWork
    on: tuple[Fit, ...]  # for each kind of device the fewest that it fits on

    def to_json(self) -> dict[str, Any]:
        return {
            "base": self.base,
            "method": self.method,
            "parameters": {"total": self.tuning.total, "trained": self.tuning.trainable},
            "parts": [asdict(part) for part in self.tuning.parts],
            "workload": {**asdict(self.workload), "distinct": self.workload.distinct},
            "steps": self.steps,
            "memory_bytes": {**asdict(self.memory), "total": self.memory.total},
            "operations_an_epoch": self.work.total,
            "devices": [
                {**asdict(each.device), "devices": each.devices, "sharing": each.sharing, "hours": each.hours}
                for each in self.on
            ],
            "estimated": ["activations", "hours", "tokens", "reserved"],
        }


def plan_of(settings: Settings, *, groups: int | None = None, reached: float = REACHED, most: int = 8) -> ProjectPlan:
    """The plan of a project. `groups` are image groups where no samples are prepared; a training is spread over at most
    `most` devices. Raises InputError for a base that cannot be used and a method that does not fit it."""
    model_settings, training = settings.model, settings.train
    if not model_settings.tunes:
        raise InputError("model.method none: nothing trains, there is nothing to plan")
    config = base_config(model_settings.base, tiles=model_settings.tiles)
    model = without_weights(config)
    four_bit = model_settings.method == "qlora"
    # Adapters are the same beside weights in four bits, which need a GPU or the weights themselves to be made.
    update = {"method": "lora"} if four_bit else {}
    with torch.device("meta"):
        tuning = prepare_tuning(model, model_settings.model_copy(update=update))
    tuning = TuningReport(model_settings.method, tuning.parts)
    workload = _workload(settings, config, groups)
    computes = torch.float32 if training.precision == "fp32" else torch.bfloat16  # what GPUs have
    distinct = workload.distinct if training.share_prefix else workload.effective
    patches = workload.groups * workload.visual_tokens * _patches_a_token(config)
    work = work_of(
        model,
        tokens=workload.groups * distinct,
        trained_tokens=workload.groups * workload.answer_tokens,
        patches=patches if vision_tower(model) is not None else 0,
        context=distinct / 2,
        checkpointing=training.gradient_checkpointing,
    )

    def memory(devices: int, sharing: Sharing) -> DeviceMemory:
        return memory_of(
            model,
            four_bit=four_bit,
            tokens=max(training.budget_tokens, math.ceil(distinct)),
            computes=computes,
            checkpointing=training.gradient_checkpointing,
            offloaded=training.offload_activations,
            devices=devices,
            sharing=sharing,
        )

    epochs = training.epochs
    return ProjectPlan(
        base=model_settings.base,
        method=model_settings.method,
        tuning=tuning,
        workload=workload,
        steps=count_steps(workload.groups, training),
        memory=memory(1, "alone"),
        work=work,
        on=tuple(_fewest(device, memory, work, epochs, reached, 1 if four_bit else most) for device in DEVICES),
    )


def _fewest(device: Gpu, memory: Any, work: TrainingWork, epochs: float, reached: float, most: int) -> Fit:
    """The fewest devices that a training fits on, in powers of two; the most where it fits on none."""
    count = 1
    while True:
        sharing: Sharing = "alone" if count == 1 else "fsdp2"
        found = Fit(device, count, sharing, memory(count, sharing), epochs * work.hours(device, count, reached))
        if found.fits or 2 * count > most:
            return found
        count *= 2


def _workload(settings: Settings, config: Any, groups: int | None) -> Workload:
    prepared = settings.run_dir / "prepared"
    base, tiles = settings.model.base, settings.model.tiles
    if (prepared / "train.parquet").is_file() and groups is None:
        samples = read_samples(prepared / "train.parquet")
        if samples:
            return _of_samples(samples, prepared, base, config, tiles)
    images = len(settings.prepare.images)
    short = 4.0 if settings.prepare.short_per_long is None else settings.prepare.short_per_long
    longest = settings.prepare.image_size or max(FRAME)
    size = (longest, round(longest * FRAME[1] / FRAME[0]))
    return Workload(
        groups=groups or GROUPS,
        samples=2 + 2 * short,
        images=images,
        visual_tokens=prompt_tokens(base, config, [size] * images, tiles=tiles) if settings.train.images else 0,
        question_tokens=2 * LONG_TOKENS[0] + 2 * short * SHORT_TOKENS[0],
        answer_tokens=2 * LONG_TOKENS[1] + 2 * short * SHORT_TOKENS[1],
        counted="assumed: nothing is prepared yet" if groups is None else "the number of groups is yours",
    )


def _of_samples(samples: Sequence[Sample], root: Path, base: str, config: Any, tiles: bool) -> Workload:
    """By prepared samples: their number is counted, their text is by its length, their images are those of the
    first."""
    groups = len({sample.group for sample in samples})
    said: dict[str, int] = {"user": 0, "assistant": 0}
    for sample in samples:
        for entry in sample.messages:
            role = "assistant" if entry["role"] == "assistant" else "user"
            said[role] += len(text_of(entry))
    sizes = []
    for name in samples[0].images:
        with Image.open(root / name) as image:
            sizes.append(image.size)
    return Workload(
        groups=groups,
        samples=len(samples) / groups,
        images=len(sizes),
        visual_tokens=prompt_tokens(base, config, sizes, tiles=tiles) if sizes else 0,
        question_tokens=said["user"] / CHARACTERS / groups,
        answer_tokens=said["assistant"] / CHARACTERS / groups,
        counted=f"{len(samples):,} prepared samples, text by its length",
    )


def measured(run_dir: Path) -> dict[str, Any] | None:
    """What a finished training of the run says of its tokens; None where there is none."""
    file = run_dir / "training" / "report.json"
    return dict(read_json(file)) if file.is_file() else None


def _patches_a_token(config: Any) -> float:
    """Patches of the vision tower that become one token."""
    vision = config.vision_config
    merge = getattr(vision, "spatial_merge_size", None) or getattr(config, "scale_factor", None) or 1
    return float(merge) ** 2
