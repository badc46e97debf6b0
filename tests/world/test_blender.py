"""Pictures need the package bpy; without it only the message that says so is tested."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from cityscribe.files import InputError
from cityscribe.world import blender
from cityscribe.world.blender import mask_blender, render_blender
from cityscribe.world.event import sample_event
from cityscribe.world.render import box_of
from cityscribe.world.scene import Camera, Scene, dashboard_camera, fixed_camera
from cityscribe.world.solids import Solid, solids

SMALL = {"width": 96, "height": 54}


@pytest.fixture(scope="module")
def bpy() -> None:
    """Blender itself, loaded as the renderer loads it."""
    pytest.importorskip("bpy", reason="needs the extra `blender`")


def _scene(seed: int, weather: str, light: str) -> Scene:
    scene = sample_event(seed).scene_at(1.6)
    return replace(scene, street=replace(scene.street, weather=weather, light=light, wet=weather == "rainy"))


def _dashboard(scene: Scene, size: dict[str, int]) -> Camera:
    return dashboard_camera(scene.vehicles[0], 0, focal=0.78 * size["width"], **size)


def _first(scene: Scene, kind: str) -> Solid:
    return next(solid for solid in solids(scene, False) if (solid.kind, solid.index) == (kind, 0))


@pytest.mark.parametrize("seed", [0, 1, 3, 5])
@pytest.mark.usefixtures("bpy")
def test_boxes_are_those_of_the_raster_renderer_to_a_pixel(seed: int) -> None:
    scene = sample_event(seed).scene_at(1.6)
    person, vehicle = scene.people[0], scene.vehicles[0]
    middle = ((person.x + vehicle.x) / 2, (person.y + vehicle.y) / 2)
    mast = fixed_camera((middle[0] + 9, middle[1] - 10), middle, mast=5.0, focal=330, width=640, height=360)
    compared = 0
    for camera, kind, box in (
        (_dashboard(scene, {"width": 640, "height": 360}), "person", box_of),
        (mast, "person", box_of),
        (mast, "vehicle", box_of),
    ):
        expected = box(person if kind == "person" else vehicle, camera)
        if expected is None:
            continue
        covered = mask_blender([_first(scene, kind)], camera) > 0
        rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
        x, y, w, h = expected
        # The pixels that the box touches: its edges rounded outward
        touched = [np.floor(x), np.floor(y), np.ceil(x + w), np.ceil(y + h)]
        assert np.abs(np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) - touched).max() <= 1
        compared += 1
    assert compared


@pytest.mark.usefixtures("bpy")
def test_nothing_covers_nothing() -> None:
    assert not mask_blender([], _dashboard(sample_event(0).scene_at(1.6), SMALL)).any()


@pytest.mark.usefixtures("bpy")
def test_equal_arguments_give_equal_pixels_and_the_seed_moves_noise_only() -> None:
    scene = _scene(3, "clear", "bright")
    camera = _dashboard(scene, SMALL)
    first = render_blender(scene, camera, seed=1, samples=2)
    assert first.shape == (54, 96, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, render_blender(scene, camera, seed=1, samples=2))
    other = render_blender(scene, camera, seed=2, samples=2)
    assert 0 < np.abs(first.astype(int) - other.astype(int)).mean() < 4


@pytest.mark.usefixtures("bpy")
def test_the_dark_is_darker_and_far_things_fade_in_fog() -> None:
    def picture(weather: str, light: str) -> np.ndarray:
        scene = _scene(5, weather, light)
        return render_blender(scene, _dashboard(scene, SMALL), samples=2).astype(float)

    bright, dim, dark, foggy = (
        picture(*look) for look in (("cloudy", "bright"), ("cloudy", "dim"), ("cloudy", "dark"), ("foggy", "bright"))
    )
    assert dark.mean() < dim.mean() < bright.mean()
    horizon = slice(20, 30)
    assert foggy[horizon].std() < 0.8 * bright[horizon].std()


@pytest.mark.usefixtures("bpy")
def test_a_vehicle_keeps_its_colour() -> None:
    scene = _scene(0, "cloudy", "bright")
    vehicle = scene.vehicles[0]
    camera = fixed_camera((vehicle.x + 7, vehicle.y - 7), (vehicle.x, vehicle.y), mast=4.0, focal=80, **SMALL)
    for colour, channel in (("red", 0), ("green", 1), ("blue", 2)):
        painted = replace(vehicle, vehicle=replace(vehicle.vehicle, colour=colour))
        alone = Scene(scene.street, (), (painted,))
        inside = mask_blender([_first(alone, "vehicle")], camera) == 1
        mean = render_blender(alone, camera, samples=2)[inside].mean(axis=0)
        assert mean.argmax() == channel


@pytest.mark.usefixtures("bpy")
def test_rain_is_seen_and_moves_with_the_seed() -> None:
    scene = _scene(3, "rainy", "bright")
    camera = _dashboard(scene, SMALL)
    first, other = (render_blender(scene, camera, seed=seed, samples=2).astype(int) for seed in (1, 2))
    assert np.abs(first - other).mean() > 1.5


def test_without_bpy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bpy", None)
    blender._imported.cache_clear()
    scene = _scene(3, "clear", "bright")
    try:
        with pytest.raises(InputError, match=r"cityscribe\[blender\]"):
            render_blender(scene, _dashboard(scene, SMALL))
    finally:
        blender._imported.cache_clear()
