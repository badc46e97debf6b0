"""teacher: what the teacher of a training says of its samples, for an objective that learns from one.

There is none where the objective learns from none, or names the file of another training. `train` makes it where it is
asked for alone, and reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cityscribe.pipeline.folders import whole_together
from cityscribe.pipeline.stages.prompts import asked_step
from cityscribe.pipeline.stages.reference import samples_to_train
from cityscribe.pipeline.step import Plan, Step, StepProgress, Variant
from cityscribe.train.objectives.objective import Taught

FOLDER, FILE = "teacher", "teacher.parquet"

DECIDING = (
    *("images", "share_prefix", "precision"),
    *("objective.kind", "objective.likeliest", "objective.temperature"),
)
"""Settings of the training that decide what is computed of a teacher."""


def steps(plan: Plan) -> Iterator[Step]:
    for variant in plan.variants:
        objective = variant.settings.train.objective
        if not variant.trains or not isinstance(objective, Taught) or objective.outputs is not None:
            continue
        yield Step(
            "teacher",
            variant.name,
            partial(_teacher, variant, plan),
            reads=tuple(f"train.{name}" for name in DECIDING),
            files=(plan.digests.of_base(objective.teacher), plan.digests.of_base(plan.settings.model.base)),
            after=(asked_step(plan),),
            writes=(f"{variant.prefix}{FOLDER}/",),
            part_of="train",
            shared=(f"{variant.prefix}{FOLDER}/",),
            settings=variant.settings,
        )


def teacher_of(variant: Variant) -> Path:
    """The file of the outputs of a variant's teacher, which is there where its objective learns from one."""
    return variant.home / FOLDER / FILE


def _teacher(variant: Variant, plan: Plan, made_from: str, progress: StepProgress) -> None:
    from cityscribe.models.load import load_processor
    from cityscribe.train.teacher import Student, configured_width, store_teacher

    folder, settings = variant.home / FOLDER, variant.settings
    with whole_together(folder, made_from) as out:
        processor = load_processor(settings.model.base, tiles=settings.model.tiles)
        store_teacher(
            samples_to_train(plan),
            plan.folder / "prepared",
            Student.of(processor, configured_width(settings.model.base)),
            settings.train,
            out / FILE,
            on_group=progress,
        )
