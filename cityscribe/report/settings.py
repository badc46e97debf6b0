"""Settings of the page of a run: the section `report`."""

from __future__ import annotations

from pydantic import Field

from cityscribe.settings import Section


class ReportSettings(Section):
    samples: int = Field(12, ge=0, description="phases shown with images, reference and prediction")
