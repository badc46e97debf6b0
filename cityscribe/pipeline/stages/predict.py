"""predict: what the models of a run answer to the questions of a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from cityscribe.files import InputError
from cityscribe.pipeline.stages.prompts import asked_step, samples_of
from cityscribe.pipeline.step import Plan, Step, StepProgress, Variant
from cityscribe.train import processes


def steps(plan: Plan) -> Iterator[Step]:
    for variant in plan.variants:
        place = variant.results_prefix
        trained = (variant.step("train"),) if variant.trains else ()
        before = ("quantise",) if variant.packed else trained
        if plan.yields_scenarios:
            make, writes = _predict_scenarios, [f"{place}predictions.json", f"{place}predictions.json.notes.json"]
        else:
            make, writes = _predict_conversations, [f"{place}predictions.jsonl"]
            if _submission(variant):
                writes.append(f"{place}submission.json")
        yield Step(
            "predict",
            variant.name,
            partial(make, variant, plan.folder / "prepared"),
            reads=("seed", "predict", "model.tiles", "train.images"),
            but_not=("predict.baselines",),
            files=() if before else (plan.digests.of_base(plan.settings.model.base),),
            after=(asked_step(plan), *before),
            writes=tuple(writes),
            settings=variant.settings,
            apart=True,
            split=variant.split,
        )


def _predict_scenarios(variant: Variant, prepared: Path, made_from: str, progress: StepProgress) -> None:
    from cityscribe.predict.stage import predict
    from cityscribe.records import read_samples

    settings = variant.settings
    processes.use_threads(settings.threads_each)
    file = samples_of(settings, settings.predict.split)
    samples = read_samples(file)
    _refuse_nothing(file, samples)
    out = variant.results / "predictions.json"
    predict(samples, prepared, variant.model, settings, out, images=settings.train.images, progress=progress)


def _predict_conversations(variant: Variant, prepared: Path, made_from: str, progress: StepProgress) -> None:
    from cityscribe.predict.conversations import predict_conversations
    from cityscribe.records import read_samples

    settings = variant.settings
    processes.use_threads(settings.threads_each)
    file = samples_of(settings, settings.predict.split)
    samples = read_samples(file)
    _refuse_nothing(file, samples)
    out = variant.results / "predictions.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    images = settings.train.images
    predict_conversations(samples, prepared, variant.model, settings, out, images=images, progress=progress)
    if (write := _submission(variant)) is not None and processes.is_first():
        write(out, variant.results / "submission.json")


def _refuse_nothing(file: Path, samples: Sequence[object]) -> None:
    if not samples:
        raise InputError(f"{file}: nothing to predict; set `predict.split` to another split")


def _submission(variant: Variant) -> Callable[[Path, Path], int] | None:
    """What writes the answers in the form in which they are handed in, where the source has one."""
    from cityscribe.sources.reading import conversation_source

    return conversation_source(variant.settings.data.source).submission
