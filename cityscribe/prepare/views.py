"""Which views are worth looking at: the bounding-box guided view selection of CityLLaVA, section 3.2.1.

Training takes each phase of each view whose road users are large enough (Eq. 2). Evaluation takes one view of a
scenario: the one with boxes in all phases and the largest pedestrian.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Literal

from cityscribe.media.video import frame_at, frame_index, probe
from cityscribe.prepare.geometry import is_box
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.traffic.scenario import PHASES, ROLES, Box, Phase, Scenario, View, ViewKind

BoxSource = Literal["annotated", "generated", "both"]


def with_boxes(view: View, source: BoxSource) -> View:
    """The view with the boxes that count: real ones, of the wanted source, each labelled with its phase.

    `source` is `data.boxes` of the settings; "both" takes a road user's generated boxes for those phases that have no
    annotated one. A box that names no phase belongs to each phase in whose time its frame is shown, from the phase's
    first frame to the one before its end; only then is the video opened, and VideoError raised where it cannot be.
    """
    wanted = {
        role: [box for box in view.boxes.get(role, ()) if is_box(box.xywh) and source in ("both", _source(box))]
        for role in ROLES
    }
    if any(box.phase is None for boxes in wanted.values() for box in boxes):
        wanted = _with_phases(view, wanted)
    if source == "both":
        annotated = {(role, box.phase) for role, boxes in wanted.items() for box in boxes if not box.generated}
        wanted = {
            role: [box for box in boxes if not box.generated or (role, box.phase) not in annotated]
            for role, boxes in wanted.items()
        }
    return replace(view, boxes={role: tuple(boxes) for role, boxes in wanted.items() if boxes})


def without_own_box(view: View, settings: PrepareSettings) -> View:
    """The view; where `vehicle_view_box` says that a vehicle's box in a vehicle view is to be ignored, without it."""
    if settings.vehicle_view_box != "ignore" or view.kind != "vehicle":
        return view
    return replace(view, boxes={role: boxes for role, boxes in view.boxes.items() if role != "vehicle"})


def named_by_marks(marked: Sequence[str], kind: ViewKind, settings: PrepareSettings) -> tuple[str, ...]:
    """Of what is marked on images, what questions call by its mark: in a vehicle view the vehicle only where
    `vehicle_view_box` says so, else they ask about the ego-vehicle (section 3.2.3 of CityLLaVA)."""
    ego = kind == "vehicle" and settings.vehicle_view_box != "ask"
    return tuple(mark for mark in marked if not (ego and mark == "vehicle"))


def average_area(view: View, role: str, phase: int) -> float:
    """The average area of one road user's boxes in one phase, pixels squared; 0 where there is none."""
    boxes = view.boxes_of(role, phase)
    return fmean(box.area for box in boxes) if boxes else 0.0


def why_view_is_left_out(view: View) -> str:
    """Why a whole view cannot be trained on; empty where it can."""
    if not view.phases:
        return "no phases are annotated for it"
    if view.kind == "overhead" and view.reference is False:
        return "not a reference view of its scenario"
    return ""


def why_phase_is_left_out(view: View, phase: int, settings: PrepareSettings) -> str:
    """Why a phase of a view is not trained on (Eq. 2); empty where it is.

    It is kept where both average areas exceed their thresholds, or one does and the other road user has no box at all.
    """
    areas = {role: average_area(view, role, phase) for role in ROLES}
    thresholds = {"pedestrian": settings.pedestrian_threshold, "vehicle": settings.vehicle_threshold}
    if not any(areas.values()):
        return "no boxes"
    small = [role for role in ROLES if 0 < areas[role] <= thresholds[role]]
    return " and ".join(f"{role} of {areas[role]:.0f} px2 is not above {thresholds[role]:g}" for role in small)


def ranked_views(scenario: Scenario) -> list[View]:
    """The views of a scenario, the best to evaluate on first; views without phases are left out.

    In this order: reference views and vehicle views before overhead views that the reference list leaves out; more
    phases with a box of either road user (all five, where a view has them); the larger pedestrian, as the average over
    the five phases of the average area in each, 0 where there is no box; the vehicle view; then the name. So where no
    view has boxes in all phases the one that has them in most is best, and where none has any the vehicle view is.
    """
    return sorted((view for view in scenario.views if view.phases), key=_rank)


def phases_to_evaluate(views: Sequence[View]) -> dict[int, list[tuple[View, Phase]]]:
    """Each phase that any of a scenario's ranked views has -> the views that have it, the best first."""
    phases: dict[int, list[tuple[View, Phase]]] = {}
    for view in views:
        for phase in view.phases:
            phases.setdefault(phase.number, []).append((view, phase))
    return dict(sorted(phases.items()))


def _rank(view: View) -> tuple[bool, int, float, bool, str]:
    numbers = range(len(PHASES))
    boxed = sum(any(view.boxes_of(role, number) for role in ROLES) for number in numbers)
    area = fmean(average_area(view, "pedestrian", number) for number in numbers)
    return (view.kind == "overhead" and view.reference is False, -boxed, -area, view.kind != "vehicle", view.name)


def _source(box: Box) -> str:
    return "generated" if box.generated else "annotated"


def _with_phases(view: View, wanted: dict[str, list[Box]]) -> dict[str, list[Box]]:
    fps = probe(view.video).fps
    spans = {
        phase.number: (frame_at(view.video, phase.start_s), frame_at(view.video, phase.end_s)) for phase in view.phases
    }

    def labelled(box: Box) -> list[Box]:
        if box.phase is not None:
            return [box]
        frame = frame_index(box.image_id, fps)
        return [
            replace(box, phase=number) for number, (first, end) in spans.items() if first <= frame < max(end, first + 1)
        ]

    return {role: [copy for box in boxes for copy in labelled(box)] for role, boxes in wanted.items()}
