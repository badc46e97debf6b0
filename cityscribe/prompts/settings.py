"""Settings of prompts that look: the section `prompts`."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import Field

from cityscribe.prompts.reader import SceneReader
from cityscribe.settings import Fraction, OneOf, Section


class PromptSettings(Section):
    library: str = Field(
        "", description="file of a prompt library, or the name of a shipped one; empty asks each question as it is"
    )
    reader: Annotated[SceneReader, OneOf("scene-reader")] = Field(
        cast(SceneReader, {}),  # the first member
        description="who says what a frame shows",
    )
    plain: Fraction = Field(
        0.0, description="share of the training samples that keep their question, so that a model learns both"
    )
    control: Literal["none", "other-frame", "random-words"] = Field(
        "none",
        description="what the prompts are compared with: those of another frame, or the question as it is and as many "
        "random words of the library",
    )

    @property
    def look(self) -> bool:
        """Whether prompts are put together at all."""
        return bool(self.library)
