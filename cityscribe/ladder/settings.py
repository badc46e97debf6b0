"""Settings of a ladder of steps: the section `ladder`."""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import Field, model_validator

from cityscribe.rewards.reward import Reward
from cityscribe.settings import OneOf, Section, conflict


class ComparedBeside(Section):
    """A run that is compared with the ladder at one of its steps."""

    at: str = Field("", description="the step with which it begins; empty: the project as it is")
    change: dict[str, Any] = Field({}, description="settings that differ from those at that step")


class LadderSettings(Section):
    steps: dict[str, dict[str, Any]] = Field(
        {}, description="name of a step -> settings that differ from those before it; none makes no ladder"
    )
    first: str = Field("as it is", description="name of the project without any step")
    beside: dict[str, ComparedBeside] = Field({}, description="name -> what is compared with the ladder at one step")
    back: bool = Field(True, description="also leave out each step in turn")
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    score: Annotated[Reward, OneOf("reward")] = Field(
        cast(Reward, {"kind": "overlap"}), description="what an answer is worth"
    )
    asked: int = Field(12, ge=0, description="images that are asked about to measure speed and memory; 0 measures none")

    @model_validator(mode="after")
    def _names(self) -> LadderSettings:
        for name, one in self.beside.items():
            if one.at and one.at not in self.steps:
                raise conflict(f"beside.{name}.at: {one.at} is no step; there are {', '.join(self.steps) or 'none'}")
            if name in self.steps or name == self.first:
                raise conflict(f"beside.{name}: a step has this name")
        if self.first in self.steps:
            raise conflict(f"first: a step has the name {self.first}")
        return self
