"""Settings as YAML: with every value for a run folder, and with what each means for a new project."""

from __future__ import annotations

from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cityscribe.settings.members import Named, OneOf


def dump(settings: BaseModel) -> str:
    """The settings as YAML with every value there; loading it gives equal settings."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def commented(section: BaseModel, depth: int = 0) -> list[str]:
    """Lines of YAML: every setting with its value, what it means and, where it is one of a few, which there are."""
    lines: list[str] = []
    indent = "  " * depth
    values = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if not isinstance(value, BaseModel):
            lines.append(_line(indent, name, values[name], field))
            continue
        lines += ([""] if depth == 0 else []) + [f"{indent}{name}:", *commented(value, depth + 1)]
        for union in (marker for marker in field.metadata if isinstance(marker, OneOf)):
            lines[-len(commented(value, depth + 1))] += f"  # one of {', '.join(union.names())}"
            lines += _others(union, type(value), depth + 1)
    return lines


def _others(union: OneOf, chosen: type[BaseModel], depth: int) -> list[str]:
    """The settings of the members of a union that are not chosen, as comments."""
    lines = []
    for name in union.names():
        section = union.section(name)
        if section is chosen or not section.model_fields.keys() - {"kind"}:
            continue
        lines.append(f"{'  ' * depth}# kind {name} has:")
        inner = commented(section.model_validate({"kind": name}), 0)
        lines += [f"{'  ' * depth}# {line}" for line in inner if not line.startswith("kind:")]
    return lines


def _line(indent: str, name: str, value: Any, field: FieldInfo) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("\n...")
    note = [field.description] if field.description else []
    options = _options(field.annotation, field.metadata)
    if len(options) > 1:
        note.append(("one of " if isinstance(value, str) else "of ") + ", ".join(options))
    return f"{indent}{name}: {text}" + (f"  # {'; '.join(note)}" if note else "")


def _options(annotation: Any, metadata: list[Any]) -> list[str]:
    """What a setting can be, where that is one of a few words."""
    for marker in metadata:
        if isinstance(marker, Named):
            return marker.names()
    inner = get_args(annotation)
    if inner and all(isinstance(option, str) for option in inner):
        return [str(option) for option in inner]
    for part in inner:  # such as tuple[Annotated[str, Named(...)], ...]
        if found := _options(part, list(getattr(part, "__metadata__", ()))):
            return found
    return []
