"""What a traffic event is: its views, phases, road users and boxes.

A `Scenario` is one traffic event: its views (a video each, with boxes and phases) and where it came from. Every source
of scenarios yields them; `prepare` turns them into samples.

Frames of reference: a box is `x, y, width, height` in pixels of the video frame, origin at the top left, floats. Times
are seconds in the time of their own view: the views of a scenario are not synchronised. `image_id` counts frames as the
annotation does; `cityscribe.media.video.frame_index` maps it to a frame of the video.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

PHASES = ("prerecognition", "recognition", "judgement", "action", "avoidance")
"""The five phases of a WTS event in the order in which they happen; a phase's number is its index here."""


def phase_opening(phase: int) -> str:
    """What stands before a question about a phase; nothing of -1, what is asked about the whole."""
    return f"This is the '{PHASES[phase]}' phase. " if phase >= 0 else ""


ROLES = ("pedestrian", "vehicle")
"""The road users of a scenario that captions and boxes are about."""

Role = Literal["pedestrian", "vehicle"]
Domain = Literal["internal", "external"]
Split = Literal["train", "val", "test"]
ViewKind = Literal["overhead", "vehicle"]


@dataclass(frozen=True, slots=True)
class Box:
    """One annotated box: `xywh` in pixels of the frame that `image_id` names."""

    image_id: int
    xywh: tuple[float, float, float, float]
    phase: int | None = None  # index into PHASES; None where the annotation gives none (tracked boxes)
    generated: bool = False  # from a tracker (`bbox_generated`) rather than by hand

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.xywh[2] * self.xywh[3]


@dataclass(frozen=True, slots=True)
class Gaze:
    """Where the pedestrian of an event looks, on the frame that `image_id` names."""

    image_id: int
    head: tuple[float, float]  # x, y in pixels of the frame
    direction: tuple[float, float, float]  # in the axes of the camera as OpenGL has them: right, up, backward


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of an event in one view's own time. A caption is empty where a test set withholds it."""

    number: int  # index into PHASES
    start_s: float
    end_s: float
    captions: dict[str, str] = field(default_factory=dict)  # role -> caption


@dataclass(frozen=True, slots=True)
class View:
    """One camera's video of a scenario."""

    name: str  # stem of the video file
    kind: ViewKind
    video: Path
    phases: tuple[Phase, ...] = ()  # in the order of PHASES, at most one each
    boxes: dict[str, tuple[Box, ...]] = field(default_factory=dict)  # role -> boxes in order of image_id
    reference: bool | None = None  # listed as a reference view of its scenario; None where no list names the scenario
    gaze: tuple[Gaze, ...] = ()  # in order of image_id

    def boxes_of(self, role: str, phase: int) -> tuple[Box, ...]:
        """The boxes of one road user that are labelled with a phase, in order of image_id."""
        return tuple(box for box in self.boxes.get(role, ()) if box.phase == phase)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One traffic event."""

    name: str  # the key of the submission format
    domain: Domain  # internal: WTS itself; external: BDD_PC_5K
    split: Split
    views: tuple[View, ...]
    source: str  # the format that it was read from, such as "wts"

    def captions(self) -> dict[tuple[int, str], str]:
        """Phase and role -> caption. Views repeat the texts; that of the first view that has one counts."""
        found: dict[tuple[int, str], str] = {}
        for view in self.views:
            for phase in view.phases:
                for role in ROLES:
                    if text := phase.captions.get(role, "").strip():
                        found.setdefault((phase.number, role), text)
        return found
