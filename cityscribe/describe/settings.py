"""What descriptions of clips take of the settings of a project."""

from __future__ import annotations

from typing import Protocol

from cityscribe.predict.settings import Predicting
from cityscribe.prepare.settings import PrepareSettings


class Describing(Predicting, Protocol):
    """How a model is asked, and the pictures that it is shown."""

    @property
    def prepare(self) -> PrepareSettings: ...
