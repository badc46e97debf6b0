"""quantise: the weights of the tuned model in four or eight bits, where `quantise.bits` asks for that.

The packed model is what answers then; the trained one stays beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from cityscribe.files import remove_folder
from cityscribe.pipeline.stages.prompts import asked_step, samples_of
from cityscribe.pipeline.step import PACKED, Plan, Step, StepProgress


def steps(plan: Plan) -> Iterator[Step]:
    settings = plan.settings
    if not settings.quantise.packs:
        return
    trained = plan.variants[0].trains
    yield Step(
        "quantise",
        "",
        partial(_make, plan),
        reads=("quantise",),
        files=() if trained else (plan.digests.of_base(settings.model.base),),
        after=(asked_step(plan), *(("train",) if trained else ())),
        writes=(f"{PACKED}/",),
        shared=(f"{PACKED}/",),
    )


def _make(plan: Plan, made_from: str, progress: StepProgress) -> None:
    from cityscribe.quantise import quantise

    settings = plan.settings
    asked = settings.quantise
    out = plan.folder / PACKED
    remove_folder(out)
    quantise(
        plan.variants[0].trained,
        out,
        method=asked.method,
        bits=asked.bits or 4,
        group=asked.group,
        prepared=plan.folder / "prepared",
        samples=samples_of(settings, "train"),
        groups=asked.groups,
        progress=progress,
    )
