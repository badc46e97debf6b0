"""What is wrong with settings, one line each: where it was written, its name, and the nearest name that exists."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from cityscribe.plain_yaml import shown
from cityscribe.settings.members import OneOf

MOST = 40
"""Mistakes that are listed: more of them are of a file that is no project."""

SettingPath = tuple[str, ...]
"""Where a setting stands, such as `("train", "lr")`."""


def messages(
    error: ValidationError, sections: type[BaseModel], given: Mapping[SettingPath, str], origin: str
) -> list[str]:
    """A line for each of the first `MOST` mistakes. `given` says where each place was written; `origin` is for those
    that it lacks."""
    entries = error.errors()
    lines = [_message(entry, sections, given, origin) for entry in entries[:MOST]]
    return lines if len(entries) <= MOST else [*lines, f"{origin}: {len(entries) - MOST} more"]


def _message(entry: Any, sections: type[BaseModel], given: Mapping[SettingPath, str], origin: str) -> str:
    place = tuple(str(part) for part in entry["loc"])
    where = next((given[place[:n]] for n in range(len(place), 0, -1) if place[:n] in given), origin)
    name = ".".join(place)
    if entry["type"] == "extra_forbidden":
        known = _names(sections, place[:-1])
        near = difflib.get_close_matches(place[-1], known, n=1, cutoff=0.5)
        if place[-1] in known:  # of other members than the one that is chosen, as an earlier `init` wrote for all
            kinds = " or ".join(_kinds_with(sections, place))
            return f"{where}: {name}: is a setting of kind {kinds} only; remove it, or set {'.'.join(place[:-1])}.kind"
        hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}"
        return f"{where}: {name}: no such setting; {hint}"
    if entry["type"] == "missing":
        return f"{where}: {name}: missing"
    found = entry["input"]
    problem = entry["msg"][:1].lower() + entry["msg"][1:]
    if entry["type"] == "conflict":  # of several settings: the section that was found tells nothing
        return ": ".join(part for part in (where, name, problem) if part)
    if entry["type"] in ("literal_error", "no_member") and isinstance(found, str):
        expected = entry["ctx"]["expected"]
        options = [option.strip(" '") for option in expected.replace(" or ", ", ").split(",")]
        near = difflib.get_close_matches(found, options, n=1, cutoff=0.4)
        problem = f"expected one of {', '.join(options)}" + (f"; did you mean `{near[0]}`?" if near else "")
    return f"{where}: {name}: {problem}; found {shown(found)}"


def _names(sections: type[BaseModel], place: SettingPath) -> list[str]:
    """The settings of the section at a place, those of all members where it is one of a union."""
    found = [sections]
    for part in place:
        fields = [section.model_fields[part] for section in found if part in section.model_fields]
        found = [inner for field in fields for inner in sections_of(field)]
    return list(dict.fromkeys(name for section in found for name in section.model_fields))


def _kinds_with(sections: type[BaseModel], place: SettingPath) -> list[str]:
    """The members of the union at a place that have a setting, which is the last part of the place."""
    found = [sections]
    fields: list[FieldInfo] = []
    for part in place[:-1]:
        fields = [section.model_fields[part] for section in found if part in section.model_fields]
        found = [inner for field in fields for inner in sections_of(field)]
    unions = [marker for field in fields for marker in field.metadata if isinstance(marker, OneOf)]
    return [name for union in unions for name in union.names() if place[-1] in union.section(name).model_fields]


def sections_of(field: FieldInfo) -> list[type[BaseModel]]:
    """The sections that a setting can be: none for a plain value, one a member for a union."""
    for marker in field.metadata:
        if isinstance(marker, OneOf):
            return [marker.section(name) for name in marker.names()]
    annotation = field.annotation
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
