from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cityscribe.world.event import sample_event
from cityscribe.world.render import box_of
from cityscribe.world.scene import VehicleState, dashboard_camera, fixed_camera
from cityscribe.world.silhouettes import silhouettes, visible_share


@pytest.mark.parametrize("seed", range(8))
def test_masks_lie_in_boxes_and_boxes_fit_what_is_not_covered(seed: int) -> None:
    scene = sample_event(seed).scene_at(1.4)
    camera = dashboard_camera(scene.vehicles[0], 0, width=640, height=360, focal=500)
    seen, found = silhouettes(scene, camera)
    assert seen.shape == (360, 640)
    assert [s.number for s in found] == sorted(s.number for s in found)
    for silhouette in found:
        mask = seen == silhouette.number
        assert mask.sum() == silhouette.pixels
        assert 0 <= silhouette.visible <= 1
        kind, index = silhouette.key
        assert (kind, index) != ("vehicle", 0)  # the camera is mounted in it
        if kind not in ("person", "vehicle"):
            continue
        state = scene.people[index] if kind == "person" else scene.vehicles[index]
        box = box_of(state, camera)
        if box is None or not silhouette.pixels:
            continue
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        x, y, w, h = box
        assert x - 3 <= columns[0]
        assert columns[-1] + 1 <= x + w + 3
        assert y - 3 <= rows[0]
        assert rows[-1] + 1 <= y + h + 3
        assert silhouette.visible == pytest.approx(visible_share(scene, camera, kind, index), abs=0.02)
        if silhouette.visible == 1.0:
            assert abs(columns[-1] + 1 - columns[0] - w) <= 4
            assert abs(rows[-1] + 1 - rows[0] - h) <= 4


def test_whoever_stands_behind_a_van_is_hidden() -> None:
    scene = sample_event(3).scene_at(1.0)
    person = replace(scene.people[0], x=0.0, y=12.0, motion="standing", gaze="ahead")
    van = VehicleState(replace(scene.vehicles[0].vehicle, kind="van"), 0.0, 8.0, 1.5707963)
    camera = fixed_camera((0.0, 0.0), (0.0, 12.0), mast=1.4, width=640, height=360, focal=500)
    free = replace(scene, people=(person,), vehicles=(), cyclists=(), props=())
    assert visible_share(free, camera, "person", 0) == 1.0
    assert visible_share(replace(free, vehicles=(van,)), camera, "person", 0) < 0.1
    assert visible_share(free, camera, "person", 1) == 0.0
