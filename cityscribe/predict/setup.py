"""What the settings of a prediction tell an engine. Importing it needs no library of models."""

from __future__ import annotations

from cityscribe.engine.members import Server, Setup
from cityscribe.predict.settings import Predicting


def setup_of(settings: Predicting) -> Setup:
    return Setup(
        batch_size=settings.predict.batch_size,
        drafts=settings.predict.drafts,
        precision=settings.predict.precision,
        tiles=settings.model.tiles,
        server=Server(**settings.predict.remote.model_dump()),
    )
