"""Settings that name members of a seam: checked against its registry, so that a member added there can be set at once.

source: Annotated[str, Named("source")] = "wts"                 # data: {source: drivelm}
labeller: Annotated[Section, OneOf("labeller")] = ...           # labeller: {kind: openai, model: x}
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from cityscribe.files import InputError
from cityscribe.registry import registry
from cityscribe.settings.base import Section


@dataclass(frozen=True)
class Named:
    """Of a setting that holds the name of a member of the registry of a kind, or one of the words in `also`."""

    kind: str
    also: tuple[str, ...] = ()

    def names(self) -> list[str]:
        return [*self.also, *registry(self.kind).names()]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def _checked(self, value: str) -> str:
        names = self.names()
        if value not in names:
            raise PydanticCustomError("no_member", "expected one of {expected}", {"expected": ", ".join(names)})
        return value


@dataclass(frozen=True)
class OneOf:
    """Of a setting that is a section whose `kind` names a member of a registry; the member's entry says which settings
    there are beside it (`Entry.settings`, a `Section` with a field `kind`).

    A setting of another member is refused unless it has its default, as in a file that lists all settings.
    """

    kind: str

    def names(self) -> list[str]:
        return list(registry(self.kind).names())

    def section(self, name: str) -> type[BaseModel]:
        """The class of the settings of a member: that of its entry, or the member itself where it is a section."""
        members = registry(self.kind)
        module, _, attribute = members.entry(name).settings.partition(":")
        found: type[BaseModel] = getattr(importlib.import_module(module), attribute) if module else members[name]
        return found

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._checked,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value, info: value.model_dump(mode=info.mode), info_arg=True
            ),
        )

    def _checked(self, value: Any) -> BaseModel:
        if isinstance(value, BaseModel):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError(
                "no_section", "expected settings such as kind: {first}", {"first": self.names()[0]}
            )
        name = value.get("kind", self.names()[0])
        if name not in self.names():
            raise _at("kind", "no_member", {"expected": ", ".join(self.names())}, name)
        section = self.section(name)
        given = {key: inner for key, inner in value.items() if key == "kind" or not self._idle(key, inner, section)}
        return section.model_validate(given)

    def _idle(self, key: str, value: Any, section: type[BaseModel]) -> bool:
        """Whether a setting belongs to other members alone, and has its default."""
        if key in section.model_fields:
            return False
        others = (self.section(name).model_fields for name in self.names())
        return any(key in fields and fields[key].default == value for fields in others)


def check_section(kind: str, name: str, member: Any, base: type[Section]) -> None:
    """Raises InputError where a member of the registry of a kind is no section derived from `base`, or its setting
    `kind` has not its name as the default."""
    if not (isinstance(member, type) and issubclass(member, base)):
        raise InputError(f"{kind} {name}: is no class derived from {base.__name__}")
    field = member.model_fields.get("kind")
    if field is None or field.default != name:
        raise InputError(f"{kind} {name}: its setting `kind` has to have the default {name!r}")


def _at(place: str, kind: str, context: dict[str, Any], value: Any) -> ValidationError:
    error = PydanticCustomError(kind, "expected one of {expected}", context)
    details: InitErrorDetails = {"type": error, "loc": (place,), "input": value}
    return ValidationError.from_exception_data("settings", [details])
