from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cityscribe.world.event import sample_event
from cityscribe.world.render import box_of, render
from cityscribe.world.scene import Camera, Scene, dashboard_camera, fixed_camera

SIZE = {"width": 640, "height": 360}


def _plain(scene: Scene) -> Scene:
    """The same scene on a bright overcast day with nobody else, in strong colours: more visible than faint shadows."""
    street = replace(scene.street, weather="cloudy", light="bright", wet=False, crosswalk_y=None)
    person = replace(scene.people[0].person, upper_colour="red", lower_colour="yellow")
    vehicle = replace(scene.vehicles[0].vehicle, colour="red")
    return Scene(street, (replace(scene.people[0], person=person),), (replace(scene.vehicles[0], vehicle=vehicle),))


def _painted(scene: Scene, without: Scene, camera: Camera) -> tuple[int, int, int, int]:
    """Columns and rows of the pixels that an object changes strongly: left, top, right, bottom."""
    change = np.abs(render(scene, camera).astype(int) - render(without, camera).astype(int)).max(axis=2) > 76
    rows, columns = np.flatnonzero(change.any(axis=1)), np.flatnonzero(change.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize("seed", range(12))
def test_a_persons_box_is_where_its_pixels_are(seed: int) -> None:
    scene = _plain(sample_event(seed).scene_at(1.6))
    camera = dashboard_camera(scene.vehicles[0], 0, focal=500, **SIZE)
    box = box_of(scene.people[0], camera)
    if box is None:
        return
    left, top, right, bottom = _painted(scene, replace(scene, people=()), camera)
    x, y, w, h = box
    assert left >= x - 2
    assert top >= y - 2
    assert right <= x + w + 2
    assert bottom <= y + h + 2
    assert (right - left) * (bottom - top) > 0.5 * w * h


@pytest.mark.parametrize("seed", range(12))
def test_a_vehicles_box_is_where_its_pixels_are(seed: int) -> None:
    scene = _plain(sample_event(seed).scene_at(1.6))
    vehicle = scene.vehicles[0]
    camera = fixed_camera((vehicle.x + 9, vehicle.y - 8), (vehicle.x, vehicle.y), mast=5.0, focal=420, **SIZE)
    box = box_of(vehicle, camera)
    assert box is not None
    left, top, right, bottom = _painted(replace(scene, people=()), replace(scene, people=(), vehicles=()), camera)
    x, y, w, h = box
    assert x - 2 <= left
    assert y - 2 <= top
    assert right <= x + w + 2
    # the bottom may run into the vehicle's own shadow
    assert abs(bottom - (y + h)) < 12


def test_equal_arguments_give_equal_pixels_and_the_seed_moves_noise_only() -> None:
    scene = sample_event(2).scene_at(1.0)
    camera = dashboard_camera(scene.vehicles[0], 0, focal=500, **SIZE)
    first = render(scene, camera, seed=1)
    assert first.shape == (360, 640, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, render(scene, camera, seed=1))
    if scene.street.weather != "rainy":
        other = render(scene, camera, seed=2)
        assert 0 < np.abs(first.astype(int) - other.astype(int)).mean() < 12


def test_what_is_behind_the_camera_has_no_box() -> None:
    scene = sample_event(2).scene_at(1.0)
    person = replace(scene.people[0], x=scene.vehicles[0].x, y=scene.vehicles[0].y - 30)
    assert box_of(person, dashboard_camera(scene.vehicles[0], 0, focal=500, **SIZE)) is None


def test_a_camera_that_looks_north_has_east_on_its_right() -> None:
    camera = Camera(0, 0, 1.5, math.pi / 2, 0.0, 500, 640, 360)
    points = camera.to_camera(np.array([[1.0, 10.0, 1.5], [0.0, 10.0, 2.5]]))
    pixels = camera.to_pixels(points)
    assert pixels[0] == pytest.approx([370, 180])
    assert pixels[1] == pytest.approx([320, 130])


@pytest.mark.parametrize("weather", ["clear", "cloudy", "rainy", "foggy"])
@pytest.mark.parametrize("light", ["bright", "dim", "dark"])
def test_every_sky_can_be_drawn_and_the_dark_is_darker(weather: str, light: str) -> None:
    scene = sample_event(4).scene_at(1.0)
    camera = dashboard_camera(scene.vehicles[0], 0, focal=500, **SIZE)

    def brightness(hour: str) -> float:
        street = replace(scene.street, weather=weather, light=hour, wet=weather == "rainy")
        return float(render(replace(scene, street=street), camera).mean())

    assert brightness("dark") <= brightness(light) <= brightness("bright")
