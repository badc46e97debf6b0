"""What describing takes of the settings of a project: it has no section of its own."""

from __future__ import annotations

from typing import Protocol

from cityscribe.predict.settings import Predicting
from cityscribe.prepare.settings import PrepareSettings


class Describing(Predicting, Protocol):
    """How the model is asked, and how its images are made."""

    @property
    def prepare(self) -> PrepareSettings: ...
