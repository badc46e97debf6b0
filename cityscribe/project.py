"""A project: the sections of all rooms in one file, typed, with defaults, checked at once.

A project is a YAML file whose sections are the stages. Everything has a default but `data.path`. This is the one place
where defaults are resolved: after `load_settings` every value is there, and a stage takes its section whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from cityscribe.curate.pairs.settings import PairSettings
from cityscribe.evaluate.settings import EvaluateSettings
from cityscribe.files import InputError, at_home
from cityscribe.ladder.settings import LadderSettings
from cityscribe.models.quantise.settings import QuantiseSettings
from cityscribe.models.settings import ModelSettings
from cityscribe.places import CHECKPOINT, FOLDER, NOTHING, RUN, RUNS, YAML, project_file, what_is
from cityscribe.predict.settings import PredictSettings, results_in
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.prompts.settings import PromptSettings
from cityscribe.report.settings import ReportSettings
from cityscribe.serve.settings import ServeSettings
from cityscribe.settings import Section, conflict
from cityscribe.settings.loading import apply_override, check, load
from cityscribe.settings.messages import SettingPath
from cityscribe.settings.writing import commented, dump
from cityscribe.sources.settings import DataSettings
from cityscribe.train.settings import TrainSettings
from cityscribe.workers import cores


class Settings(Section):
    name: str = Field(
        "run",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=200,
        description="of the run; its folder is runs/NAME",
    )
    runs: Path = Field(Path("runs"), description="folder of the runs")
    seed: int = Field(0, ge=0, lt=2**32)
    processes: int = Field(
        0, ge=0, le=1024, description="that train and predict together on this machine; 0 takes one a GPU"
    )
    at_once: int = Field(
        1, ge=1, le=64, description="stages that are made at the same time where they need nothing of each other"
    )
    threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="of torch in a process, on CPUs; 0 takes one a core. A tiny model hardly gains by a second",
    )
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    prompts: PromptSettings = PromptSettings()
    model: ModelSettings = ModelSettings()
    pairs: PairSettings = PairSettings()
    train: TrainSettings = TrainSettings()
    quantise: QuantiseSettings = QuantiseSettings()
    predict: PredictSettings = PredictSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    report: ReportSettings = ReportSettings()
    serve: ServeSettings = ServeSettings()
    ladder: LadderSettings = LadderSettings()

    @model_validator(mode="after")
    def _something_to_compare_with(self) -> Settings:
        if not self.model.tunes and self.predict.baselines:
            raise conflict("predict.baselines are of a tuning, and model.method none has none: leave them empty")
        return self

    @property
    def run_dir(self) -> Path:
        return self.runs / self.name

    @property
    def threads_each(self) -> int:
        """Threads of torch in a process; 0 is left to torch. The same whether stages are made at once or alone, since
        sums are rounded by how they are divided among threads."""
        return self.threads or (max(cores() // self.at_once, 1) if self.at_once > 1 else 0)

    @property
    def results_dir(self) -> Path:
        """Where answers and scores of the split `predict.split` lie."""
        return results_in(self.run_dir, self.predict.split)


def load_settings(place: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Read a project file, or that of a run folder, and apply overrides such as `train.lr=1e-4`.

    A run folder is the run, wherever it was moved. Raises InputError with every mistake at once, and for what is
    neither a project nor a run. Where the file names no `data.source`, that is the format that the folder is in.
    """
    file = project_file(place)
    settings = _with_source(load(Settings, file, overrides))
    folder = file.parent
    if file == at_home(place) or any(override.startswith(("runs=", "name=")) for override in overrides):
        return settings
    if settings.run_dir.exists() and settings.run_dir.samefile(folder):
        return settings
    moved = Path(os.path.abspath(folder)) if folder.name in ("", "..") else folder
    values = settings.model_dump(mode="json")
    return resolve({**values, "runs": str(moved.parent), "name": moved.name}, origin=str(folder))


def _with_source(settings: Settings) -> Settings:
    if "source" in settings.data.model_fields_set:
        return settings
    from cityscribe.sources.recognise import recognised

    source = recognised(settings.data.path)
    if source is None:
        return settings  # reading says what was looked for
    return settings.model_copy(update={"data": settings.data.model_copy(update={"source": source})})


def checkpoint_of(place: str | Path) -> str:
    """The checkpoint that a place means: itself, or the model of a run folder or project file. Raises InputError for
    what can be neither."""
    path = at_home(place)
    found = what_is(path)
    if found == NOTHING or found in (CHECKPOINT, FOLDER):
        return str(path)  # also a hub id, and the name of a shipped model
    if found not in (RUN, YAML):
        hint = f"name one of its runs, such as {path}/NAME" if found == RUNS else "such as runs/NAME"
        raise InputError(f"{path}: is {found}; expected the folder or hub id of a model, or a run folder: {hint}")
    settings = load_settings(path)
    if not settings.model.tunes:
        return settings.model.base
    model = settings.run_dir / "model"
    if not model.is_dir():
        raise InputError(f"{path}: its run has no model yet; `cityscribe train {path}` makes {model}")
    return str(model)


def settings_of_checkpoint(
    checkpoint: str, project: Path | None = None, overrides: Sequence[str] = ()
) -> tuple[Settings, Path | None]:
    """The settings that a checkpoint is asked with, and the folder of the run that it is the model of, if it is one.

    They are those of that run, unless `project` names others; else the defaults. Raises InputError.
    """
    run = Path(checkpoint).resolve().parent
    is_of_run = (run / "project.yaml").is_file()
    if project is None and is_of_run:
        project = run / "project.yaml"
    settings = settings_without_project(overrides) if project is None else load_settings(project, overrides)
    return settings, run if is_of_run else None


def settings_without_project(overrides: Sequence[str] = ()) -> Settings:
    """The defaults with overrides, for a command that needs no data set. Raises InputError for an override."""
    values: dict[str, Any] = {"data": {"path": "."}}
    given = {apply_override(values, override): f"--set {override}" for override in overrides}
    return resolve(values, given)


def resolve(
    values: Mapping[str, Any], given: Mapping[SettingPath, str] | None = None, origin: str = "settings"
) -> Settings:
    """Check values and fill in the defaults. `given` says where each place was written, for messages."""
    return check(Settings, values, given, origin)


def dump_settings(settings: Settings) -> str:
    """The settings as YAML with every value there; loading it gives equal settings."""
    return dump(settings)


def commented_settings(data_path: str, fitting: Mapping[str, Any] | None = None) -> str:
    """A project file that shows every setting with its default and what it means, for `cityscribe init`. `fitting`
    are settings that fit the data set instead of the defaults, by section."""
    head = "# A cityscribe project. Every value below is the default; what you do not need can go.\n"
    if fitting:
        head = "# A cityscribe project. Values are the defaults, or fit the data; what you do not need can go.\n"
    values = {"data": {"path": data_path}}
    for section, given in (fitting or {}).items():
        values[section] = {**values.get(section, {}), **given}
    return head + "\n".join(commented(resolve(values))) + "\n"
