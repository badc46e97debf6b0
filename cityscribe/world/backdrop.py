"""What lies behind the solids of a picture: the sky, and the ground with its markings, shadows, lamp light and haze."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np

from cityscribe.world.canvas import NEAR, fill, project
from cityscribe.world.fixtures import fixtures
from cityscribe.world.ground import PAVING, paving
from cityscribe.world.light import Light, light_of
from cityscribe.world.look import RGB, VEHICLES
from cityscribe.world.scene import AnimalState, Camera, CyclistState, PersonState, Scene, Street
from cityscribe.world.shapes import Disc


@functools.lru_cache(maxsize=16)
def _sky(camera: Camera, weather: str, hour: str) -> np.ndarray:
    light = light_of(weather, hour)
    depth = min(max(int(camera.horizon), 1), camera.height * 2)
    share = np.clip(np.arange(camera.height) / depth, 0, 1)[:, None] ** 1.3
    column = (np.array(light.zenith) * (1 - share) + np.array(light.horizon) * share).astype(np.uint8)
    return np.repeat(column[:, None, :], camera.width, axis=1)


def draw_backdrop(scene: Scene, camera: Camera, light: Light) -> np.ndarray:
    """The picture without solids: RGB uint8 [height, width, 3]."""
    street, level = scene.street, _level(camera)
    image = _sky(level, light.weather, light.hour).copy()
    top = int(min(max(math.ceil(camera.horizon), 0), camera.height))
    if top >= camera.height:
        return image
    region = image[top:]
    plain = np.array(_lit(PAVING["plaza" if street.road == "urban road" else "land"], light, street.wet), np.uint8)
    cv2.rectangle(image, (0, top), (camera.width - 1, camera.height - 1), plain.tolist(), -1)  # much faster than NumPy
    _draw_paving(image, street, camera, light)
    gain = _ground_gain(camera, scene, light, top)
    if gain is not None:
        cv2.multiply(region, cv2.merge([gain, gain, gain]), dst=region, scale=1 / 128)
    if street.wet:
        _puddles(region, light, street)
    clear, hazy, colour = _haze(level, light.weather, light.hour, top)
    cv2.blendLinear(region, colour, clear, hazy, dst=region)
    return image


def _level(camera: Camera) -> Camera:
    """A camera of the same height and tilt somewhere else: all that the sky and the haze depend on."""
    return Camera(0.0, 0.0, round(camera.z, 3), 0.0, camera.pitch, camera.focal, camera.width, camera.height)


@functools.lru_cache(maxsize=16)
def _haze(camera: Camera, weather: str, hour: str, top: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For the rows below `top`: how much of the ground is seen and how much of the air [rows, width], and its colour
    [rows, width, 3]. The distance of the ground grows towards the horizon."""
    light = light_of(weather, hour)
    rows = np.arange(top, camera.height) + 0.5
    below = np.maximum((rows - camera.horizon) / camera.focal, 1e-4)
    distance = np.minimum(camera.z / below, 400.0)
    clear = np.repeat(np.exp(-distance / light.visibility).astype(np.float32)[:, None], camera.width, axis=1)
    colour = np.empty((*clear.shape, 3), np.uint8)
    colour[:] = light.horizon
    return clear, 1 - clear, colour


def _draw_paving(image: np.ndarray, street: Street, camera: Camera, light: Light) -> None:
    """All faces of the ground; those that are whole before the camera are projected at once."""
    faces, points, starts = _paving_points(street)
    seen = camera.to_camera(points)
    depth = seen[:, 2]
    inside = (depth > NEAR) & (np.abs(seen[:, :2]).max(axis=1) < 6.0 * depth)
    ahead = np.logical_or.reduceat(depth > NEAR, starts)
    whole = np.logical_and.reduceat(inside, starts)
    pixels = camera.to_pixels(np.maximum(seen, [-np.inf, -np.inf, NEAR]))
    low, high = np.minimum.reduceat(pixels, starts), np.maximum.reduceat(pixels, starts)
    frame = (camera.width, camera.height)
    shown = ((high > 0) & (low < frame)).all(axis=1) & ((high - low).min(axis=1) > 0.15)
    colours = {kind: _lit(paint, light, street.wet and kind != "paint") for kind, paint in PAVING.items()}
    for i, (outline, kind) in enumerate(faces):
        if whole[i]:
            if shown[i]:
                fill(image, pixels[starts[i] : starts[i] + len(outline)], colours[kind])
        elif ahead[i]:
            clipped = project(outline, camera)
            if clipped is not None:
                fill(image, clipped, colours[kind])


@functools.lru_cache(maxsize=32)
def _paving_points(street: Street) -> tuple[tuple[tuple[np.ndarray, str], ...], np.ndarray, np.ndarray]:
    """The faces of the ground, all their corners [n, 3], and where each face begins among them."""
    faces = paving(street)
    sizes = [len(points) for points, _ in faces]
    return faces, np.concatenate([points for points, _ in faces]), np.cumsum([0, *sizes[:-1]])


def _lit(colour: RGB, light: Light, wet: bool) -> tuple[float, float, float]:
    red, green, blue = (float(c * g) for c, g in zip(colour, light.gain, strict=True))
    if wet:
        red, green, blue = red * 0.66, green * 0.69, blue * 0.76
    return (red, green, blue)


def _ground_gain(camera: Camera, scene: Scene, light: Light, top: int) -> np.ndarray | None:
    """How much brighter or darker the ground is than plain: 128 is as it is. Shadows by day, lamp light by night."""
    gain = np.full((camera.height - top, camera.width), 128, np.uint8)
    shift = np.array([0.0, -top])

    def blob(outline: np.ndarray, value: int) -> None:
        pixels = project(outline, camera)
        if pixels is not None:
            fill(gain, pixels + shift, (value,))

    angles = np.arange(12) * math.pi / 6
    circle = np.stack([np.cos(angles), np.sin(angles), np.zeros(12)], axis=1)
    if light.hour == "dark":
        for fixture in fixtures(scene.street):
            if isinstance(fixture.parts[-1], Disc) and fixture.parts[-1].emits:
                lamp = fixture.parts[-1].points[0] * np.array([1, 1, 0])
                blob(lamp + circle * 3.4, 170)
                blob(lamp + circle * 1.9, 212)
        for vehicle in scene.vehicles:
            ahead = np.array([math.cos(vehicle.heading), math.sin(vehicle.heading), 0.0])
            left = np.array([-ahead[1], ahead[0], 0.0])
            nose = np.array([vehicle.x, vehicle.y, 0.0]) + ahead * VEHICLES[vehicle.vehicle.kind].length / 2
            for reach, wide, value in ((11.0, 3.0, 160), (7.0, 2.1, 200)):
                blob(
                    np.stack(
                        [
                            nose - left * 0.7,
                            nose + ahead * reach - left * wide,
                            nose + ahead * reach + left * wide,
                            nose + left * 0.7,
                        ]
                    ),
                    value,
                )
        cv2.GaussianBlur(gain, (0, 0), 5, dst=gain)
    strength = 62 if light.weather == "clear" and light.hour == "bright" else 88
    slant = np.array([0.28, 0.22, 0.0]) if strength == 62 else np.zeros(3)
    for i, vehicle in enumerate(scene.vehicles):
        if i == camera.on_vehicle:
            continue
        shape = VEHICLES[vehicle.vehicle.kind]
        ahead = np.array([math.cos(vehicle.heading), math.sin(vehicle.heading), 0.0]) * (shape.length / 2 + 0.1)
        left = np.array([-math.sin(vehicle.heading), math.cos(vehicle.heading), 0.0]) * (shape.width / 2 + 0.1)
        base = np.array([vehicle.x, vehicle.y, 0.0])
        corners = [base + a * ahead + b * left for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        outline = cv2.convexHull(
            np.array([c[:2] for c in corners] + [(c + slant * shape.height)[:2] for c in corners], dtype=np.float32)
        )[:, 0]
        blob(np.concatenate([outline, np.zeros((len(outline), 1))], axis=1), strength)
    standers: list[PersonState | CyclistState | AnimalState] = [*scene.people, *scene.cyclists, *scene.animals]
    for stander in standers:
        stretch = (
            circle * np.array([0.34, 0.34, 0]) + np.maximum(circle @ np.array([0.78, 0.62, 0]), 0)[:, None] * slant * 4
        )
        blob(np.array([stander.x, stander.y, 0.0]) + stretch, strength)
    return gain if (gain != 128).any() else None


def _puddles(region: np.ndarray, light: Light, street: Street) -> None:
    """Bands of reflected sky on wet ground."""
    rng = np.random.default_rng([street.seed, 5])
    height, width = region.shape[:2]
    overlay = region.copy()
    for _ in range(26):
        y = int(height * rng.random() ** 0.8)
        size = (int(8 + 60 * rng.random() * (0.25 + y / height)), int(1 + 6 * rng.random() * (0.2 + y / height)))
        cv2.ellipse(overlay, (int(rng.integers(width)), y), size, 0, 0, 360, light.horizon, -1, cv2.LINE_AA)
    cv2.addWeighted(overlay, 0.35, region, 0.65, 0, dst=region)
