"""How large the road users are in the pictures that a model was asked about."""

from __future__ import annotations

from collections.abc import Iterable

from cityscribe.records import Sample
from cityscribe.traffic.meta import traffic_meta
from cityscribe.traffic.scenario import ROLES, Scenario


def box_areas(scenarios: Iterable[Scenario], samples: Iterable[Sample]) -> dict[str, float]:
    """The area of the first box of a phase, in square pixels of the frame, for segments named `SCENARIO/PHASE/ROLE`.

    The view is the one that the samples show. A road user without a box in the phase, such as the vehicle that the
    camera is in, is absent.
    """
    shown = {(meta.scenario, meta.phase, meta.view) for meta in map(traffic_meta, samples)}
    areas = {}
    for scenario in scenarios:
        for view in scenario.views:
            for phase in view.phases:
                if (scenario.name, phase.number, view.name) in shown:
                    for role in ROLES:
                        boxes = view.boxes_of(role, phase.number)
                        if boxes:
                            areas[f"{scenario.name}/{phase.number}/{role}"] = boxes[0].area
    return areas
