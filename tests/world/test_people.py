from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cityscribe.world.event import sample_event
from cityscribe.world.render import render
from cityscribe.world.scene import PersonState, Scene, fixed_camera

STREET = replace(sample_event(0).street, weather="clear", light="bright", wet=False)
SOMEBODY = replace(
    sample_event(0).person, sex="male", age="adult", height=1.7, hair="black", hat_colour=None, carried="nothing"
)
CAMERA = fixed_camera((0.0, -6.0), (0.0, 0.0), mast=2.5, width=320, height=180, focal=320)
TURNS = [i * math.pi / 4 for i in range(8)]
LEAST = 30  # pixels that differ clearly, of some 2,000 that show a person


def picture(state: PersonState) -> np.ndarray:
    return render(Scene(STREET, (state,), ()), CAMERA, noise=0.0).astype(int)


def state(**changes: object) -> PersonState:
    standing = PersonState(SOMEBODY, 0.0, 0.0, 0.0, "standing", "ahead")
    return replace(standing, **changes)  # type: ignore[arg-type]


def differing(a: PersonState, b: PersonState) -> int:
    return int((np.abs(picture(a) - picture(b)).max(axis=-1) > 30).sum())


@pytest.mark.parametrize("heading", TURNS)
@pytest.mark.parametrize("change", [{"sex": "female"}, {"age": "child"}, {"carried": "backpack"}], ids=str)
def test_what_is_summary_of_a_person_is_seen_from_every_side(change: dict[str, str], heading: float) -> None:
    other = replace(SOMEBODY, **change)  # of the same height
    assert differing(state(heading=heading), state(heading=heading, person=other)) > LEAST


@pytest.mark.parametrize("stride", TURNS)
@pytest.mark.parametrize("motion", ["walking", "running"])
def test_a_gait_shows_at_every_moment_of_a_stride(motion: str, stride: float) -> None:
    assert differing(state(), state(motion=motion, stride=stride)) > 6 * LEAST
