"""reference: what the model of a training says before its first step, for an objective that compares with that.

There is none where the objective needs none, or names the file of another training. `train` makes it where it is asked
for alone, and reads it; what is tokenised here, it finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cityscribe.files import InputError
from cityscribe.pipeline.folders import whole_together
from cityscribe.pipeline.stages.pairs import pairs_of
from cityscribe.pipeline.stages.prompts import asked_step, samples_of
from cityscribe.pipeline.step import Plan, Step, StepProgress, Variant
from cityscribe.project import Settings
from cityscribe.train import processes

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

    from cityscribe.models.tuning.prepare import TuningReport
    from cityscribe.records import Sample

FOLDER, FILE = "reference", "reference.parquet"

TOKENS = "tokens"
"""The folder of the tokens that both stages read. The training removes it."""

DECIDING = ("images", "share_prefix", "max_tokens", "too_long", "budget_tokens", "precision", "objective.kind")
"""Settings of the training that decide which tokens there are and how they are computed."""


def steps(plan: Plan) -> Iterator[Step]:
    for variant in plan.variants:
        objective = variant.settings.train.objective
        if not variant.trains or not objective.needs_reference or objective.reference_file is not None:
            continue
        yield Step(
            "reference",
            variant.name,
            partial(_reference, variant, plan),
            reads=("model", *(f"train.{name}" for name in DECIDING)),
            but_not=("model.base",),
            files=(plan.digests.of_base(plan.settings.model.base),),
            after=(asked_step(plan), *(("pairs",) if "pairs" in plan.steps else ())),
            writes=(f"{variant.prefix}{FOLDER}/",),
            part_of="train",
            shared=(f"{variant.prefix}{FOLDER}/",),
            settings=variant.settings,
        )


def reference_of(variant: Variant) -> Path:
    """The file of the reference of a variant, which is there where its objective needs it."""
    return variant.home / FOLDER / FILE


def _reference(variant: Variant, plan: Plan, made_from: str, progress: StepProgress) -> None:
    from cityscribe.train.ready import store_reference

    prepared = plan.folder / "prepared"
    folder = variant.home / FOLDER
    with whole_together(folder, made_from) as out:
        samples = samples_to_train(plan)
        model, processor, _ = model_to_train(variant.settings)
        store_reference(
            samples,
            prepared,
            model,
            processor,
            variant.settings.train,
            out / FILE,
            tokens=variant.home / TOKENS,
            on_group=progress,
        )


def samples_to_train(plan: Plan) -> list[Sample]:
    """The training samples of a run, or the pairs that it made of them. Raises InputError where there are none."""
    from cityscribe.records import read_samples

    prepared = plan.folder / "prepared"
    samples = read_samples(pairs_of(plan.settings) or samples_of(plan.settings, "train"), rejected=True)
    if not samples:
        raise InputError(f"{prepared / 'skipped.jsonl'}: no training sample is left; see there why")
    return samples


def model_to_train(settings: Settings) -> tuple[PreTrainedModel, ProcessorMixin, TuningReport]:
    """The base of a run with what trains in it, its processor, and a report of what trains."""
    import torch

    from cityscribe.models.tuning.prepare import load_for_tuning, prepare_tuning, tuning_dtype

    processes.use_threads(settings.threads_each)
    torch.manual_seed(settings.seed)
    dtype = tuning_dtype(settings.model, settings.train.precision)
    model, processor = load_for_tuning(settings.model, dtype=dtype)
    return model, processor, prepare_tuning(model, settings.model)
