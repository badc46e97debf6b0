"""The base of all sections, and the types of values that several of them have."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A group of settings. Unknown names are refused, values are checked once and never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def conflict(message: str) -> PydanticCustomError:
    """What a validator raises where settings contradict each other. The message names them."""
    return PydanticCustomError("conflict", "{message}", {"message": message})
