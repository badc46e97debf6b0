"""A project: the sections of all rooms in one file, typed, with defaults, checked at once.

A project is a YAML file whose sections are the stages. Everything has a default but `data.path`. This is the one place
where defaults are resolved: after `load_settings` every value is there, and a stage takes its section whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from cityscribe.evaluate.settings import EvaluateSettings
from cityscribe.models.settings import ModelSettings
from cityscribe.predict.settings import PredictSettings
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.report.settings import ReportSettings
from cityscribe.serve.settings import ServeSettings
from cityscribe.settings import Section, conflict
from cityscribe.settings.loading import apply_override, check, load
from cityscribe.settings.messages import SettingPath
from cityscribe.settings.writing import commented, dump
from cityscribe.sources.settings import DataSettings
from cityscribe.train.settings import TrainSettings


class Settings(Section):
    name: str = Field(
        "run",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=200,
        description="of the run; its folder is runs/NAME",
    )
    runs: Path = Field(Path("runs"), description="folder of the runs")
    seed: int = Field(0, ge=0, lt=2**32)
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    predict: PredictSettings = PredictSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    report: ReportSettings = ReportSettings()
    serve: ServeSettings = ServeSettings()

    @model_validator(mode="after")
    def _something_to_compare_with(self) -> Settings:
        if not self.model.tunes and self.predict.baselines:
            raise conflict("predict.baselines are of a tuning, and model.method none has none: leave them empty")
        return self

    @property
    def run_dir(self) -> Path:
        return self.runs / self.name


def load_settings(path: Path, overrides: Sequence[str] = ()) -> Settings:
    """Read a project file and apply overrides such as `train.lr=1e-4`. Where it names no `data.source`, that is the
    format that the folder is in. Raises InputError with every mistake at once."""
    settings = load(Settings, path, overrides)
    if "source" in settings.data.model_fields_set:
        return settings
    from cityscribe.sources.recognise import recognised

    source = recognised(settings.data.path)
    if source is None:
        return settings  # reading says what was looked for
    return settings.model_copy(update={"data": settings.data.model_copy(update={"source": source})})


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
