"""A clip whose light is a patch of colour, and readers that look at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from pydantic import Field

from cityscribe.media.images import open_image
from cityscribe.media.video import write_video
from cityscribe.prompts import SCENE_READERS
from cityscribe.prompts.reader import FrameImages, FrameReading, SceneReader, SeenFeatures

COLOURS = {"red": (220, 30, 30), "yellow": (220, 200, 30), "green": (30, 180, 60)}
SHOWN = ["green"] * 10 + ["yellow"] * 4 + ["red"] * 10
"""What the light shows in each frame of the clip, five a second."""


class PatchReader(SceneReader):
    """Reads the colour of the whole frame, and is wrong in some frames, which it tells by their number."""

    kind: Literal["patch"] = "patch"
    wrong: dict[int, str] = Field({}, description="frame -> what is said of it")
    model: str = ""

    asks = True

    def read(self, frames: Sequence[FrameImages], reading: FrameReading) -> list[SeenFeatures]:
        found: list[SeenFeatures] = []
        for (image,) in frames:
            path = reading.image_root / image
            mean = np.asarray(open_image(path.read_bytes(), name=str(path))).reshape(-1, 3).mean(axis=0)
            seen = min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))
            found.append({"light": self.wrong.get(int(path.stem), seen)})
        return found


@pytest.fixture(scope="module")
def patches() -> Iterator[None]:
    SCENE_READERS.add("patch", PatchReader, "of a test")
    yield
    SCENE_READERS.remove("patch")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one clip."""
    folder = tmp_path_factory.mktemp("clips")
    write_video(folder / "street.mp4", [np.full((48, 64, 3), COLOURS[name], np.uint8) for name in SHOWN], 5)
    return folder
