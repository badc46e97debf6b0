from __future__ import annotations

from pathlib import Path

from cityscribe.records import Sample
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.traffic.metrics.box_sizes import box_areas
from cityscribe.traffic.scenario import Box, Phase, Scenario, View


def test_the_first_box_of_the_view_that_was_shown_counts() -> None:
    def view(name: str, width: float) -> View:
        boxes = (Box(5, (0, 0, width, 10), 0), Box(9, (0, 0, 99, 99), 0), Box(12, (0, 0, width, 20), 1))
        return View(name, "overhead", Path("v.mp4"), (Phase(0, 0, 1), Phase(1, 1, 2)), {"pedestrian": boxes})

    scenario = Scenario("s", "internal", "val", (view("a", 4), view("b", 7)), "wts")
    asked = [Sample((), (), "", TrafficMeta(scenario="s", phase=phase, view="b")) for phase in (0, 1)]
    assert box_areas([scenario], asked) == {"s/0/pedestrian": 70, "s/1/pedestrian": 140}
    assert box_areas([scenario], asked[:1]) == {"s/0/pedestrian": 70}
