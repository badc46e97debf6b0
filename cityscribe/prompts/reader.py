"""The seam of scene readers: who says what a frame shows, before a task is put to the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from cityscribe.progress import Progress, silent
from cityscribe.settings import Section, check_section

if TYPE_CHECKING:
    from cityscribe.engine.request import Engine
    from cityscribe.prompts.library import PromptLibrary

SeenFeatures = Mapping[str, str]
"""What a frame shows: feature -> value, such as "traffic light" -> "red". What is known not to be there is "no"."""

FrameImages = tuple[str, ...]
"""The images that a sample shows, as it names them."""


@dataclass(frozen=True, slots=True)
class FrameReading:
    """What a reader works with."""

    library: PromptLibrary
    image_root: Path  # what frames are relative to
    data: Path  # the folder of the data set
    load: Callable[[str], Engine]  # an engine for a checkpoint; "" is the base of the run
    journal: Path | None = None  # beside which it may keep what it has done; None keeps nothing
    made_from: str = ""  # the hash of all that decides what is read
    progress: Progress = silent


class SceneReader(Section):
    """A member of `SCENE_READERS`. Its fields are settings, beside `kind`, which has its name as the default."""

    asks: ClassVar[bool] = False  # whether it asks a model the looks of the library

    def read(self, frames: Sequence[FrameImages], reading: FrameReading) -> list[SeenFeatures]:
        """What each frame shows. Raises InputError for what it cannot work with."""
        raise NotImplementedError

    def files(self, data: Path) -> tuple[Path | str, ...]:
        """What it reads beside the images: files, and the names of models; for the hash of what depends on them."""
        return ()


class ReadsNothing(SceneReader):
    """Nobody looks."""

    kind: Literal["nothing"] = "nothing"

    def read(self, frames: Sequence[FrameImages], reading: FrameReading) -> list[SeenFeatures]:
        return [{} for _ in frames]


def check_reader(name: str, member: Any) -> None:
    check_section("scene-reader", name, member, SceneReader)
