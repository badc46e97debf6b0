"""The runs of a ladder, by the settings in which each differs from the project."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cityscribe.files import InputError
from cityscribe.ladder.settings import LadderSettings
from cityscribe.settings.loading import put


@dataclass(frozen=True, slots=True)
class LadderArm:
    """One run, for each seed. `against` is the arm that it is compared with; none of the first."""

    name: str
    part: str  # "up", "back" or "beside"
    settings: Mapping[str, Any]  # place, such as "model.method" -> value
    against: str = ""

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def folder(self) -> str:
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.name).strip("-.") or "arm"


def arms_of(ladder: LadderSettings) -> list[LadderArm]:
    """The arms in the order of the table. Arms of equal settings are still arms of their own; their runs share what is
    made of them. Raises InputError for names that make one folder."""
    arms = [LadderArm(ladder.first, "up", {})]
    for name, step in ladder.steps.items():
        arms.append(LadderArm(name, "up", {**arms[-1].settings, **step}, arms[-1].name))
    whole = arms[-1].name
    if ladder.back and len(ladder.steps) > 1:
        for left_out in list(ladder.steps)[:-1]:  # without the last step, the ladder is the one before it
            merged: dict[str, Any] = {}
            for name, step in ladder.steps.items():
                merged |= {} if name == left_out else step
            arms.append(LadderArm(f"without {left_out}", "back", merged, whole))
    by_name = {arm.name: arm for arm in arms}
    for name, one in ladder.beside.items():
        begun = by_name[one.at or ladder.first]
        arms.append(LadderArm(name, "beside", {**begun.settings, **one.change}, begun.name))
    folders: dict[str, str] = {}
    for arm in arms:
        if (other := folders.setdefault(arm.folder, arm.name)) != arm.name:
            raise InputError(f"ladder: {other} and {arm.name} would lie in one folder, {arm.folder}; rename one")
    return arms


def with_settings(values: Mapping[str, Any], given: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Settings of a project with other values at some places, such as {"model.method": "lora"}."""
    found: dict[str, Any] = copy.deepcopy(dict(values))
    for place, value in given.items():
        put(found, tuple(place.split(".")), value, f"{origin}: {place}")
    return found
