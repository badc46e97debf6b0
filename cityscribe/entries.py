"""Entries of files as models: what an entry must hold stands in a class, and one function says what is wrong with one.

    class Detection(EntryModel):
        bounding_box: Corners = Field(description="x, y, width, height as shares")

    found = checked(Detection, row, note, "detections[3]")     # None, noted, where it is none

A field's `description` ends the sentence "is 7, expected ...".
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cityscribe.records import Note
from cityscribe.values import MAX_PIXELS, finite, name_of, plain_text, shown


class EntryModel(BaseModel):
    """An entry; what stands beside its fields is another reader's affair."""

    model_config = ConfigDict(extra="ignore", frozen=True)


AnyEntry = TypeVar("AnyEntry", bound=EntryModel)


def _text(value: Any) -> str:
    text = plain_text(value)
    if text is None:
        raise ValueError("no text")
    return text


def _name(value: Any) -> str:
    name = name_of(value)
    if name is None:
        raise ValueError("no name")
    return name


def _number(value: Any) -> float:
    number = finite(value)
    if number is None:
        raise ValueError("no finite number")
    return number


def _whole(value: Any) -> int:
    number = _number(value)
    if number % 1:
        raise ValueError("no whole number")
    return int(number)


Text = Annotated[str, BeforeValidator(_text)]
"""Text that can be stored."""

Name = Annotated[str, BeforeValidator(_name)]
"""A name, as text or as a whole number."""

Number = Annotated[float, BeforeValidator(_number)]
"""A finite number, as such or as text."""

WholeNumber = Annotated[int, BeforeValidator(_whole)]
"""A whole number, as such or as text."""

Loose = Annotated[float | None, BeforeValidator(finite)]
"""A finite number, or None for anything else: what is of no consequence where it is wrong."""

Pixels = Annotated[float, BeforeValidator(_number), Field(ge=-MAX_PIXELS, le=MAX_PIXELS)]
"""A finite number, as such or as text, that can be a place in a frame."""


def checked(
    model: type[AnyEntry],
    value: Any,
    note: Note,
    place: str,
    *,
    whole: str = "",
    level: Literal["error", "warning"] = "warning",
) -> AnyEntry | None:
    """An entry as a model; None, with the first fault noted, where it is none.

    The fault is told of the field that it is in or, with `whole`, of the entry: "is 7, expected " and `whole`.
    """
    try:
        return model.model_validate(value)
    except (ValidationError, RecursionError) as error:
        where = error.errors()[0]["loc"] if isinstance(error, ValidationError) else ()
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        field = fields.get(str(where[0])) if where and isinstance(value, dict) else None
        if whole or field is None:
            note(level, place, f"is {shown(value)}, expected {whole or 'an object'}")
        else:
            note(
                level,
                f"{place}.{where[0]}".lstrip("."),
                f"is {shown(value.get(where[0]))}, expected {field.description}",
            )
        return None
