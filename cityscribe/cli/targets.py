"""The settings that belong to what a command is given: a run, its model, a project file or a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cityscribe.files import InputError
from cityscribe.project import Settings, load_settings, resolve, settings_of_checkpoint
from cityscribe.settings.loading import apply_override
from cityscribe.settings.messages import SettingPath
from cityscribe.sources.recognise import recognise


def settings_to_serve(checkpoint: str, project: Path | None, overrides: Sequence[str]) -> tuple[Settings, Path]:
    """The settings that a checkpoint is served with, and the folder whose training answers drafts are taken from.

    Raises InputError as `settings_of_checkpoint`, and for a server in its place.
    """
    settings, _ = settings_of_checkpoint(checkpoint, project, overrides)
    if settings.predict.engine != "local":
        raise InputError("predict.engine: a checkpoint is served by the local engine; --set predict.engine=local")
    return settings, Path(checkpoint).resolve().parent / "prepared"


def settings_of_target(
    target: Path, source: str | None = None, overrides: Sequence[str] = (), *, tracks: Path | None = None
) -> tuple[Settings, Path | None]:
    """The settings of a data set or a run, and the folder of the run, None of a data set.

    A data set is a folder in the format `source`, or in the one that it is found to be in; a run is its folder or a
    project file. `tracks` are boxes of an annotation tool or tracker, as `data.tracks`; they are used where no box was
    drawn by hand. Raises InputError for what is neither.
    """
    settings, run_dir = _settings_of_target(target, source, overrides)
    if tracks is not None:
        data = settings.data.model_copy(update={"tracks": tracks, "boxes": "both"})
        settings = settings.model_copy(update={"data": data})
    return settings, run_dir


def _settings_of_target(target: Path, source: str | None, overrides: Sequence[str]) -> tuple[Settings, Path | None]:
    if target.is_file():
        settings = load_settings(target, overrides)
        if not settings.run_dir.is_dir():
            raise InputError(
                f"{target}: its run {settings.run_dir} does not exist; run `cityscribe prepare {target}` first"
            )
        return settings, settings.run_dir
    if (target / "project.yaml").is_file():
        return load_settings(target / "project.yaml", overrides), target
    if target.is_dir():
        values: dict[str, Any] = {"data": {"path": str(target), "source": source or recognise(target)}}
        given: dict[SettingPath, str] = {("data", "source"): f"--source {source}"}
        given |= {apply_override(values, override): f"--set {override}" for override in overrides}
        return resolve(values, given), None
    raise InputError(f"{target}: no such folder; give a data set, a run (runs/NAME) or a project file")
