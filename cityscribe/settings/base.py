"""The base of all sections, and the types of values that several of them have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from cityscribe.files import at_home

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A group of settings. Unknown names are refused, values are checked once and never change. Of a path `~` is the
    home folder."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @field_validator("*", mode="after")
    @classmethod
    def _at_home(cls, value: Any) -> Any:
        return at_home(value) if isinstance(value, Path) else value


def conflict(message: str) -> PydanticCustomError:
    """What a validator raises where settings contradict each other. The message names them."""
    return PydanticCustomError("conflict", "{message}", {"message": message})
