"""Settings of the page of a run: the section `report`, and what the page tells of the other sections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pydantic import Field

from cityscribe.evaluate.settings import EvaluateSettings
from cityscribe.models.settings import ModelSettings
from cityscribe.predict.settings import PredictSettings
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.settings import Section
from cityscribe.sources.settings import DataSettings
from cityscribe.train.settings import TrainSettings


class ReportSettings(Section):
    samples: int = Field(12, ge=0, description="phases shown with images, reference and prediction")


class Reporting(Protocol):
    """What the pages of a run take of the settings of its project: they tell of nearly all of them."""

    @property
    def name(self) -> str: ...

    @property
    def seed(self) -> int: ...

    @property
    def run_dir(self) -> Path: ...

    @property
    def data(self) -> DataSettings: ...

    @property
    def prepare(self) -> PrepareSettings: ...

    @property
    def model(self) -> ModelSettings: ...

    @property
    def train(self) -> TrainSettings: ...

    @property
    def predict(self) -> PredictSettings: ...

    @property
    def evaluate(self) -> EvaluateSettings: ...

    @property
    def report(self) -> ReportSettings: ...

    def model_dump(self, *, mode: str) -> Mapping[str, object]: ...
