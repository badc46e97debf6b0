"""Settings of the scores: the section `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from cityscribe.evaluate.registries import MetricBackend
from cityscribe.settings import Named, Section


class EvaluateSettings(Section):
    profile: Annotated[str, Named("profile", also=("auto",))] = Field(
        "auto",
        description="the rules: of captions those of the challenge (wts) or of pycocoevalcap (coco, extra [coco]); of "
        "questions options (choices) and short answers (answers); auto takes wts for scenarios, else by the answers",
    )
    against: str = Field("", description="a class of questions with options that is also set against all others")
    backend: MetricBackend = Field(
        "python", description="java audits the profile coco with the original tokenizer and scorers"
    )
    references: Path | None = Field(None, description="folder of the references; null takes data.path")
    gates: bool = Field(
        False, description="ask fixed questions of text and of the city before and after the tuning: is anything lost"
    )
    refusals: Path | None = Field(
        None,
        description="file of questions that should be declined, a line each; with it the gates are asked",
    )
    official_quirks: bool = Field(False, description="leave out what the official evaluator overlooks")

    @property
    def asks_gates(self) -> bool:
        """Whether questions are asked before and after the tuning."""
        return self.gates or self.refusals is not None

    @property
    def caption_profile(self) -> str:
        """The rules for the captions of scenarios."""
        return "wts" if self.profile == "auto" else self.profile
