"""train: samples to a tuned model, for the run and for the blind baseline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cityscribe.files import remove_folder, write_json
from cityscribe.models.card_files import BOM, CARD
from cityscribe.pipeline.folders import begun_from
from cityscribe.pipeline.stages.prompts import asked_step, samples_of
from cityscribe.pipeline.stages.reference import TOKENS, model_to_train, reference_of, samples_to_train
from cityscribe.pipeline.stages.teacher import teacher_of
from cityscribe.pipeline.step import Plan, Step, StepProgress, Variant
from cityscribe.train import processes
from cityscribe.train.objectives.objective import Taught
from cityscribe.train.settings import BEST, UNRELATED_TO_WEIGHTS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

    from cityscribe.records import Sample
    from cityscribe.train.supervised import TrainReport


def steps(plan: Plan) -> Iterator[Step]:
    for variant in plan.variants:
        if not variant.trains:
            continue
        objective = variant.settings.train.objective
        named = objective.reference_file if objective.needs_reference else None
        if isinstance(objective, Taught):
            named = objective.outputs
        compared = [name for name in map(variant.step, ("reference", "teacher")) if name in plan.steps]
        yield Step(
            "train",
            variant.name,
            partial(_train, variant, plan),
            reads=("seed", "model", "train"),
            but_not=("model.base", *(f"train.{name}" for name in UNRELATED_TO_WEIGHTS)),
            files=(plan.digests.of_base(plan.settings.model.base), *([plan.digests.of(named)] if named else [])),
            after=(asked_step(plan), *(("pairs",) if "pairs" in plan.steps else ()), *compared),
            writes=(f"{variant.prefix}model/", f"{variant.prefix}training/"),
            leftovers=(
                f"{variant.prefix}training/checkpoints/",
                f"{variant.prefix}training/{BEST}/",
                f"{variant.prefix}{TOKENS}/",
            ),
            left_to=tuple(f"{variant.prefix}model/{name}" for name in (CARD, BOM)),
            shared=(f"{variant.prefix}model/",),
            copied=(f"{variant.prefix}training/",),
            settings=variant.settings,
            apart=True,
        )


def _train(variant: Variant, plan: Plan, made_from: str, progress: StepProgress) -> None:
    import torch

    from cityscribe.models.load import load_config, round_weights, save_model
    from cityscribe.models.reward_head import save_reward_head, take_reward_head

    settings, training = variant.settings, variant.home / "training"
    if processes.is_first() and begun_from(training / "run.json") != made_from:
        remove_folder(training)
        training.mkdir(parents=True)
        write_json(training / "run.json", {"made_from": made_from})
    processes.wait()
    samples = samples_to_train(plan)
    model, processor, tuning = model_to_train(settings)
    report = _trained(variant, samples, plan.folder / "prepared", model, processor, progress)
    if not processes.is_first():
        return
    write_json(training / "report.json", {**asdict(report), "tuning": asdict(tuning), "table": str(tuning)})
    stored = load_config(settings.model.base).dtype  # the checkpoint keeps the precision of the one that it came from
    if isinstance(stored, torch.dtype):
        round_weights(model, stored)
    head = take_reward_head(model) if settings.train.objective.head == "reward" else None
    save_model(model, processor, variant.home / "model")
    if head is not None:
        save_reward_head(head, variant.home / "model")


def _trained(
    variant: Variant,
    samples: list[Sample],
    prepared: Path,
    model: PreTrainedModel,
    processor: ProcessorMixin,
    progress: StepProgress,
) -> TrainReport:
    """Train the model as its objective learns: on the answers of the samples, or on answers of its own."""
    from cityscribe.records import read_samples
    from cityscribe.train.reinforce.loop import reinforce
    from cityscribe.train.supervised import train

    settings, training, tokens = variant.settings, variant.home / "training", variant.home / TOKENS
    if settings.train.objective.samples_answers:
        return reinforce(
            samples,
            prepared,
            model,
            processor,
            settings.train,
            training,
            seed=settings.seed,
            progress=progress,
            on_group=progress,
            tokens=tokens,
        )
    compared, taught = reference_of(variant), teacher_of(variant)
    return train(
        samples,
        prepared,
        model,
        processor,
        settings.train,
        training,
        seed=settings.seed,
        progress=progress,
        on_group=progress,
        reference=compared if compared.is_file() else None,
        teacher=taught if taught.is_file() else None,
        tokens=tokens,
        validation=read_samples(samples_of(settings, "val")) if settings.train.validation.every else (),
    )
