"""Project files: read, overridden by `--set`, checked, with every mistake told at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cityscribe.files import InputError
from cityscribe.plain_yaml import parse_yaml, read_yaml_with_lines, shown
from cityscribe.settings.messages import SettingPath, messages

Sections = TypeVar("Sections", bound=BaseModel)


def load(sections: type[Sections], path: Path, overrides: Sequence[str] = ()) -> Sections:
    """Read a project file and apply overrides such as `train.lr=1e-4`.

    Raises InputError that lists every mistake at once, each with its place, its line in the file, and for an unknown
    name the nearest one that exists. Relative paths are relative to the folder in which the command runs.
    """
    if not path.exists():
        raise InputError(f"{path}: No such file or directory; `cityscribe init` writes one")
    values, lines = read_yaml_with_lines(path)
    if values is None:
        values = {}
    if not isinstance(values, dict):
        found = "a list" if isinstance(values, list) else shown(values)
        raise InputError(f"{path}: expected sections such as `data:` and `train:`, found {found}")
    given = {place: f"{path}: line {line}" for place, line in lines.items()}
    for override in overrides:
        given[apply_override(values, override)] = f"--set {_short(override)}"
    return check(sections, values, given, str(path))


def check(
    sections: type[Sections],
    values: Mapping[str, Any],
    given: Mapping[SettingPath, str] | None = None,
    origin: str = "settings",
) -> Sections:
    """Check values and fill in the defaults. `given` says where each place was written, for messages."""
    try:
        return sections.model_validate(values)
    except ValidationError as error:
        raise InputError("\n".join(messages(error, sections, given or {}, origin))) from error


def apply_override(values: dict[str, Any], override: str) -> SettingPath:
    """Put the value of `NAME=VALUE` in its place. Returns the place. Raises InputError."""
    name, equals, text = override.partition("=")
    place = tuple(part.strip() for part in name.split("."))
    if not equals or not all(place):
        raise InputError(f"--set {_short(override)}: expected NAME=VALUE, such as train.lr=1e-4")
    value, _ = parse_yaml(text, f"--set {_short(override)}: the value")
    put(values, place, value, f"--set {_short(override)}")
    return place


def put(values: dict[str, Any], place: SettingPath, value: Any, origin: str) -> None:
    """Put a value in its place; sections on the way that are missing or empty are made. Raises InputError, after
    `origin`, where one of them is a value."""
    *parts, last = place
    for part in parts:
        inner = values.setdefault(part, {})
        if inner is None:
            inner = values[part] = {}
        if not isinstance(inner, dict):
            raise InputError(f"{origin}: {part} is a value, not a section")
        values = inner
    values[last] = value


def _short(override: str) -> str:
    return override if len(override) <= 80 else f"{override[:77]}..."
