"""Corrections of a data set's captions, phases and boxes: what one is, and the scenario that follows from it.

    corrected(scenario, CaptionCorrection(phase=2, role="vehicle", before="...", after="..."))

A correction says what stood there before, so that it fits one state of the data set only. `wts_corrections` makes the
same change in the files of a WTS data set; reading them again gives the corrected scenario.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from cityscribe.files import InputError
from cityscribe.traffic.captions import MAX_TIME_S
from cityscribe.traffic.scenario import PHASES, Box, Phase, Role, Scenario, View, ViewKind

MOST_CHARACTERS = 20_000
"""Of a caption."""

PhaseNumber = Annotated[int, Field(ge=0, lt=len(PHASES))]
VideoSeconds = Annotated[float, Field(ge=0, le=MAX_TIME_S, allow_inf_nan=False)]
BoxCoordinate = Annotated[float, Field(ge=-1e5, le=1e5, allow_inf_nan=False)]
BoxSide = Annotated[float, Field(gt=0, le=1e5, allow_inf_nan=False)]


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CaptionCorrection(_Given):
    """Other words for what is said of a road user in a phase, in all views that say it in the same words."""

    what: Literal["caption"] = "caption"
    phase: PhaseNumber
    role: Role
    before: str = Field(max_length=MOST_CHARACTERS)
    after: str = Field(max_length=MOST_CHARACTERS)


class PhaseCorrection(_Given):
    """Other times of a phase, in all views of a kind: they share its times."""

    what: Literal["phase"] = "phase"
    kind: ViewKind
    phase: PhaseNumber
    before: tuple[VideoSeconds, VideoSeconds]
    after: tuple[VideoSeconds, VideoSeconds]

    @model_validator(mode="after")
    def _in_order(self) -> PhaseCorrection:
        if self.after[1] <= self.after[0]:
            raise ValueError("a phase ends after it starts")
        return self


class BoxValue(_Given):
    """A box as `traffic.scenario.Box` has it."""

    image_id: int = Field(ge=0, le=10**9)
    xywh: tuple[BoxCoordinate, BoxCoordinate, BoxSide, BoxSide]
    phase: PhaseNumber | None = None
    generated: bool = False

    def box(self) -> Box:
        return Box(self.image_id, self.xywh, self.phase, self.generated)


class BoxCorrection(_Given):
    """Another box, no box (`after` is None) or a new one (`before` is None) of a road user in a view."""

    what: Literal["box"] = "box"
    view: str
    role: Role
    before: BoxValue | None
    after: BoxValue | None

    @model_validator(mode="after")
    def _of_one_frame(self) -> BoxCorrection:
        if self.before is None and self.after is None:
            raise ValueError("neither a box before nor one after")
        if self.before is not None and self.after is not None and self.before.generated != self.after.generated:
            raise ValueError("a box stays what it is: drawn by hand or generated")
        return self


Correction = Annotated[CaptionCorrection | PhaseCorrection | BoxCorrection, Field(discriminator="what")]

CORRECTION: TypeAdapter[CaptionCorrection | PhaseCorrection | BoxCorrection] = TypeAdapter(Correction)


def corrected(scenario: Scenario, correction: CaptionCorrection | PhaseCorrection | BoxCorrection) -> Scenario:
    """The scenario with a correction. Raises InputError where what stood there before is not what it says."""
    views = tuple(_corrected_view(view, correction) for view in scenario.views)
    if views == scenario.views:
        raise InputError(f"{scenario.name}: {_named(correction)} is not there, or no longer as it was: load it again")
    return replace(scenario, views=views)


def _named(correction: CaptionCorrection | PhaseCorrection | BoxCorrection) -> str:
    if isinstance(correction, BoxCorrection):
        return f"the box of the {correction.role} in {correction.view}"
    if isinstance(correction, CaptionCorrection):
        return f"the caption of the {correction.role}, phase {PHASES[correction.phase]},"
    return f"the phase {PHASES[correction.phase]} of the {correction.kind} view"


def _corrected_view(view: View, correction: CaptionCorrection | PhaseCorrection | BoxCorrection) -> View:
    if isinstance(correction, BoxCorrection):
        if view.name != correction.view:
            return view
        boxes = corrected_boxes(view.boxes.get(correction.role, ()), correction)
        return view if boxes is None else replace(view, boxes={**view.boxes, correction.role: boxes})
    if isinstance(correction, PhaseCorrection) and view.kind != correction.kind:
        return view
    return replace(view, phases=tuple(_corrected_phase(phase, correction) for phase in view.phases))


def _corrected_phase(phase: Phase, correction: CaptionCorrection | PhaseCorrection) -> Phase:
    if phase.number != correction.phase:
        return phase
    if isinstance(correction, PhaseCorrection):
        start_s, end_s = correction.after
        there = (phase.start_s, phase.end_s) == correction.before
        return replace(phase, start_s=start_s, end_s=end_s) if there else phase
    if not says(phase.captions.get(correction.role, ""), correction.before):
        return phase
    return replace(phase, captions={**phase.captions, correction.role: correction.after})


def says(caption: str, before: str) -> bool:
    """Whether a caption is the one that is corrected, whatever white space stands around it."""
    return caption.strip() == before.strip()


def corrected_boxes(boxes: tuple[Box, ...], correction: BoxCorrection) -> tuple[Box, ...] | None:
    """The boxes of a road user with a correction, in the order in which they are read; None where it does not fit."""
    found = list(boxes)
    if correction.before is not None:
        if correction.before.box() not in found:
            return None
        place = found.index(correction.before.box())
        found[place : place + 1] = [] if correction.after is None else [correction.after.box()]
    elif correction.after is not None:
        found.append(correction.after.box())
    return tuple(sorted(found, key=lambda box: (box.image_id, box.generated)))
