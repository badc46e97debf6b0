"""prepare: data set to samples."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cityscribe.files import write_text
from cityscribe.pipeline.folders import whole
from cityscribe.pipeline.step import Plan, Step, StepProgress
from cityscribe.prepare.exclusions import FILE as EXCLUSIONS
from cityscribe.prepare.exclusions import digest_of, excluded
from cityscribe.project import Settings

if TYPE_CHECKING:
    from cityscribe.records import Problem

Item = TypeVar("Item")

UNRELATED = ("data.licence", "data.path", "data.tracks", "prepare.prompts", "prepare.workers", "prepare.engine")
REDACTION = ("prepare.redact", "prepare.redact_detector", "prepare.redact_threshold")


def steps(plan: Plan) -> Iterator[Step]:
    settings, digests = plan.settings, plan.digests
    files = [digests.of_folder(settings.data.path), *(digests.of(path) for path in _beside(settings))]
    files += ["" if path is None else digests.of(path) for path in (settings.data.tracks, settings.prepare.prompts)]
    files += digest_of(excluded(settings.runs, settings.data.source))
    files += _redactors(plan)
    yield Step(
        "prepare",
        "",
        partial(_prepare_scenarios if plan.yields_scenarios else _prepare_conversations, settings),
        reads=("seed", "data", "prepare"),
        but_not=(*UNRELATED, *(() if settings.prepare.redact else REDACTION)),
        files=tuple(files),
        writes=("prepared/",),
        shared=("prepared/",),
    )


def _beside(settings: Settings) -> list[Path]:
    """The files that a source reads outside of its folder."""
    from cityscribe.sources import SOURCES

    return SOURCES[settings.data.source].beside(settings.data.path)


def _redactors(plan: Plan) -> list[str]:
    """What the models are that find what is to be covered."""
    from cityscribe.redact import REDACTORS

    options = plan.settings.prepare.redaction
    models = [REDACTORS[kind].model(options) for kind in options.kinds]
    return [plan.digests.of(Path(one)) if Path(one).is_file() else plan.digests.of_base(one) for one in models if one]


def _prepare_scenarios(settings: Settings, made_from: str, progress: StepProgress) -> None:
    from cityscribe.prepare.stage import prepare
    from cityscribe.sources.reading import read_scenarios

    scenarios, problems = read_scenarios(settings.data)
    scenarios, left_out = _without_excluded(settings, scenarios, lambda scenario: scenario.name)
    scenarios = _learned_from(settings, scenarios, lambda scenario: (scenario.split, scenario.name))
    with whole(settings.run_dir / "prepared", made_from) as (out, resume):
        prepare(scenarios, settings, out, resume=resume, progress=progress)
        _write_problems(out, [*left_out, *problems])


def _prepare_conversations(settings: Settings, made_from: str, progress: StepProgress) -> None:
    from cityscribe.prepare.conversations import prepare_conversations
    from cityscribe.sources.choices import in_all_rotations
    from cityscribe.sources.reading import read_conversations
    from cityscribe.sources.splits import divide

    data = settings.data
    samples, problems = read_conversations(data)
    samples, left_out = _without_excluded(settings, samples, lambda sample: sample.meta.scenario)
    samples = divide(samples, data.val_share, settings.seed)
    samples = _learned_from(settings, samples, lambda sample: (sample.meta.split, sample.group))
    if settings.prepare.rotate_options:
        samples = in_all_rotations(samples)
    with whole(settings.run_dir / "prepared", made_from) as (out, resume):
        prepare_conversations(
            samples, data.path, settings.prepare, out, resume=resume, progress=progress, problems=problems
        )
        _write_problems(out, [*left_out, *problems])


def _learned_from(settings: Settings, items: Sequence[Item], place_of: Callable[[Item], tuple[str, str]]) -> list[Item]:
    """Items, those for training as `data.train_share` says; `place_of` gives the split and what is drawn."""
    from cityscribe.sources.splits import part_of

    training = [item for item in items if place_of(item)[0] == "train"]
    kept = {
        place_of(item)
        for item in part_of(training, lambda item: place_of(item)[1], settings.data.train_share, settings.seed)
    }
    return [item for item in items if place_of(item)[0] != "train" or place_of(item) in kept]


def _without_excluded(
    settings: Settings, items: Sequence[Item], name_of: Callable[[Item], str]
) -> tuple[list[Item], list[Problem]]:
    """What may be used, and a note that counts what may not because it was to be forgotten."""
    names = excluded(settings.runs, settings.data.source)
    kept = [item for item in items if name_of(item) not in names]
    if len(kept) == len(items):
        return kept, []
    from cityscribe.records import Problem

    count = len({name_of(item) for item in items} & names)
    what = f"{count} scenario{'' if count == 1 else 's'} left out, to be forgotten"
    return kept, [Problem("note", str(settings.runs / EXCLUSIONS), "", what)]


def _write_problems(out: Path, problems: list[Problem]) -> None:
    lines = [json.dumps(asdict(problem), ensure_ascii=False) + "\n" for problem in problems]
    write_text(out / "problems.jsonl", "".join(lines))
