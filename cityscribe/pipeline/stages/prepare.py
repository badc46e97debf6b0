"""prepare: data set to samples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cityscribe.files import write_text
from cityscribe.pipeline.folders import whole
from cityscribe.pipeline.step import Plan, Step, StepProgress
from cityscribe.project import Settings

if TYPE_CHECKING:
    from cityscribe.records import Problem


def steps(plan: Plan) -> Iterator[Step]:
    settings, digests = plan.settings, plan.digests
    files = [digests.of_folder(settings.data.path), *(digests.of(path) for path in _beside(settings))]
    files += ["" if path is None else digests.of(path) for path in (settings.data.tracks, settings.prepare.prompts)]
    yield Step(
        "prepare",
        "",
        partial(_prepare_scenarios if plan.yields_scenarios else _prepare_conversations, settings),
        reads=("seed", "data", "prepare"),
        but_not=("data.path", "data.tracks", "prepare.prompts", "prepare.workers", "prepare.engine"),
        files=tuple(files),
        writes=("prepared/",),
        shared=("prepared/",),
    )


def _beside(settings: Settings) -> list[Path]:
    """The files that a source reads outside of its folder."""
    from cityscribe.sources import SOURCES

    return SOURCES[settings.data.source].beside(settings.data.path)


def _prepare_scenarios(settings: Settings, made_from: str, progress: StepProgress) -> None:
    from cityscribe.prepare.stage import prepare
    from cityscribe.sources.reading import read_scenarios

    scenarios, problems = read_scenarios(settings.data)
    with whole(settings.run_dir / "prepared", made_from) as (out, resume):
        prepare(scenarios, settings, out, resume=resume, progress=progress)
        _write_problems(out, problems)


def _prepare_conversations(settings: Settings, made_from: str, progress: StepProgress) -> None:
    from cityscribe.prepare.conversations import prepare_conversations
    from cityscribe.sources.choices import in_all_rotations
    from cityscribe.sources.reading import read_conversations
    from cityscribe.sources.splits import divide

    data = settings.data
    samples, problems = read_conversations(data)
    samples = divide(samples, data.val_share, settings.seed)
    if settings.prepare.rotate_options:
        samples = in_all_rotations(samples)
    with whole(settings.run_dir / "prepared", made_from) as (out, resume):
        prepare_conversations(
            samples, data.path, settings.prepare, out, resume=resume, progress=progress, problems=problems
        )
        _write_problems(out, problems)


def _write_problems(out: Path, problems: list[Problem]) -> None:
    lines = [json.dumps(asdict(problem), ensure_ascii=False) + "\n" for problem in problems]
    write_text(out / "problems.jsonl", "".join(lines))
