from __future__ import annotations

import numpy as np
import pytest

from cityscribe.world.event import sample_event
from cityscribe.world.render import box_of
from cityscribe.world.rigs import Dashboard, Mast
from cityscribe.world.silhouettes import visible_share


def test_masts_stand_where_the_person_is_seen() -> None:
    shares = []
    for seed in range(10):
        event = sample_event(seed)
        camera = Mast(event, np.random.default_rng(seed)).at(event, 0.0)
        shares += [visible_share(event.scene_at(moment), camera, "person", 0) for moment in event.boundaries_s[:-1]]
    assert np.mean(shares) > 0.9
    assert np.mean(np.array(shares) < 0.5) < 0.1


@pytest.mark.parametrize("seed", range(4))
def test_more_pixels_show_the_same(seed: int) -> None:
    event = sample_event(seed)
    for camera in (Dashboard().at(event, 1.0), Mast(event, np.random.default_rng(seed)).at(event, 1.0)):
        finer = camera.of_width(3 * camera.width // 2)
        assert (finer.width, finer.height) == (960, 540)
        for thing in (event.person_at(1.0), event.vehicle_at(1.0)):
            box, fine = box_of(thing, camera), box_of(thing, finer)
            assert (box is None) == (fine is None)
            if box is not None and fine is not None:
                assert fine == pytest.approx([1.5 * side for side in box], abs=0.05)
