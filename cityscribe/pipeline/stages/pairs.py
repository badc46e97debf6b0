"""pairs: chosen and rejected answers for a training by comparison, made by `pairs.builder`.

The model that is asked is that of `model.base`, which the training begins with; several processes share the questions.
`train` makes them where it is asked for alone. There is no such step where the builder makes none; the baselines of a
run train on its pairs too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from cityscribe.pipeline.folders import whole_together
from cityscribe.pipeline.stages.prompts import asked_step, samples_of
from cityscribe.pipeline.step import Plan, Step, StepProgress
from cityscribe.project import Settings
from cityscribe.train import processes

FOLDER = "pairs"
PICTURES = "pair-pictures"
"""Pictures that a builder has drawn."""


def steps(plan: Plan) -> Iterator[Step]:
    settings = plan.settings
    builder = settings.pairs.builder
    if not builder.builds or not settings.model.tunes:
        return
    places = (f"{FOLDER}/", *((f"{PICTURES}/",) if builder.draws else ()))
    given = [value for _, value in builder if isinstance(value, Path)]
    yield Step(
        "pairs",
        "",
        partial(_make, settings),
        reads=("seed", "pairs", *(("model.tiles", "predict.precision") if builder.asks else ())),
        files=(
            *((plan.digests.of_base(settings.model.base),) if builder.asks else ()),
            *map(plan.digests.of, given),
        ),
        after=(asked_step(plan),),
        writes=places,
        part_of="train",
        shared=places,
    )


def pairs_of(settings: Settings) -> Path | None:
    """The file of the samples that a run trains on, where it makes pairs."""
    builds = settings.pairs.builder.builds and settings.model.tunes
    return settings.run_dir / FOLDER / "train.parquet" if builds else None


def _make(settings: Settings, made_from: str, progress: StepProgress) -> None:
    from cityscribe.curate.pairs.asking import EngineAnswering
    from cityscribe.curate.pairs.make import make_pairs, write_pairs
    from cityscribe.engine.members import open_engine
    from cityscribe.predict.setup import setup_of
    from cityscribe.records import read_samples

    prepared = settings.run_dir / "prepared"
    samples = read_samples(samples_of(settings, "train"), rejected=True)
    setup = replace(setup_of(settings), batch_size=settings.pairs.batch_size, drafts=False)
    folder = settings.run_dir / FOLDER
    with whole_together(folder, made_from) as out:
        answering = EngineAnswering(
            lambda: open_engine("local", settings.model.base, setup),
            prepared,
            out,
            made_from,
            seed=settings.seed,
            max_tokens=settings.pairs.max_new_tokens,
            batch_size=settings.pairs.batch_size,
            progress=progress,
            pictures=settings.run_dir / PICTURES,
        )
        made = make_pairs(samples, answering, settings.pairs, settings.seed)
        if processes.is_first():
            write_pairs(made, out, settings.pairs, settings.model.base)
            answering.discard()
