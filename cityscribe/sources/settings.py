"""Settings of the data set: the section `data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from cityscribe.settings import Fraction, Named, Section


class DataSettings(Section):
    source: Annotated[str, Named("source")] = Field(
        "wts", description="format of the data set; where none is written, the one that the folder is in"
    )
    path: Path = Field(description="folder of the data set")
    files: tuple[str, ...] = Field(
        (), description="of a source of conversations: which files of the folder; none takes all"
    )
    frames: int = Field(4, ge=0, le=1024, description="frames that show a video of a conversation; 0 refuses videos")
    val_share: Fraction = Field(
        0.1, description="share of the images that validates where a data set of conversations names no split for it"
    )
    licence: str = Field(
        "",
        max_length=200,
        description="of the data set, an SPDX id or words, for the model card; empty: what its format tells",
    )
    boxes: Literal["annotated", "generated", "both"] = Field(
        "annotated", description="which boxes to use; both: generated ones where a phase has no annotated one"
    )
    tracks: Path | None = Field(
        None, description="file or folder of an annotation tool or tracker, read as generated boxes of its videos"
    )
