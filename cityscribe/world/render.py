"""The raster renderer: a scene and a camera to pixels and boxes.

Painter's algorithm on projected faces with OpenCV's antialiased primitives: the ground and what lies on it first, then
every object from far to near. Shading, haze, lamp light, rain and sensor noise come from the street's weather and hour.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import cv2
import numpy as np

from cityscribe.world.backdrop import draw_backdrop
from cityscribe.world.canvas import LIMIT, NEAR, SHIFT, disc, fill, project
from cityscribe.world.light import Light, light_of
from cityscribe.world.look import RGB, VEHICLE_COLOURS
from cityscribe.world.scene import Camera, Scene, Street, VehicleState
from cityscribe.world.shapes import Disc, Panes, Polygon, Shape, Stroke
from cityscribe.world.solids import Mover, Solid, parts_of, solids

FREE_VIEW = 9.0
"""Metres around a mast in which no fixture is drawn: whoever put it up chose a free view."""

_LIMBS = ("person", "cyclist", "animal")  # whose parts cover each other by depth
_GLOW = {"vehicle": 0.12, "person": 0.20, "cyclist": 0.20, "animal": 0.20, "prop": 0.25}  # lift in lamp light


def render(scene: Scene, camera: Camera, *, seed: int = 0, blur: float = 0.0, noise: float = 1.0) -> np.ndarray:
    """The picture that a camera takes of a scene: RGB uint8 [height, width, 3].

    `seed` moves rain and noise only; `blur` is that of the lens, the sigma in pixels; `noise` scales that of the
    sensor, about three levels of brightness at 1.
    """
    light = light_of(scene.street.weather, scene.street.light)
    image = draw_backdrop(scene, camera, light)
    for solid in in_order(scene, camera, light.lamps_lit):
        parts = _far_to_near(solid.parts, camera) if solid.kind in _LIMBS else solid.parts
        glow = _GLOW.get(solid.kind, 0.0)
        _draw_parts(image, parts, camera, light, glow if light.hour == "dark" else glow / 2)
    if camera.on_vehicle is not None:
        _draw_bonnet(image, scene.vehicles[camera.on_vehicle], light)
    _weather(image, scene.street, seed, blur, noise)
    return image


def in_order(scene: Scene, camera: Camera, lamps_lit: bool) -> list[Solid]:
    """The solids that a camera may see, from far to near, without the vehicle that it is mounted in."""
    seen = []
    cos, sin = math.cos(camera.yaw), math.sin(camera.yaw)
    wide = camera.width / 2 / camera.focal / max(math.cos(camera.pitch), 0.2)
    for solid in solids(scene, lamps_lit):
        dx, dy = solid.x - camera.x, solid.y - camera.y
        distance = math.hypot(dx, dy)
        ahead, aside = dx * cos + dy * sin, abs(dx * sin - dy * cos)
        if ahead < -solid.reach or aside > wide * max(ahead, 0.0) + 2.5 * solid.reach:
            continue
        if solid.kind == "vehicle" and solid.index == camera.on_vehicle:
            continue
        if solid.kind == "fixture" and camera.on_vehicle is None and distance < FREE_VIEW:
            continue
        seen.append((distance, solid))
    return [solid for _, solid in sorted(seen, key=lambda entry: -entry[0])]


def box_of(state: Mover, camera: Camera) -> tuple[float, float, float, float] | None:
    """The box `xywh` in pixels around anything, clipped to the frame; None where less than half of it is inside."""
    parts = parts_of(state)
    points = camera.to_camera(np.concatenate([part.points for part in parts]))
    if points[:, 2].min() < 0.4:
        return None
    radii = np.concatenate(
        [np.full(len(part.points), part.radius if isinstance(part, Stroke | Disc) else 0.0) for part in parts]
    )
    pixels, reach = camera.to_pixels(points), (radii * camera.focal / points[:, 2])[:, None]
    low, high = (pixels - reach).min(axis=0), (pixels + reach).max(axis=0)
    frame = np.array([camera.width, camera.height], dtype=float)
    clipped_low, clipped_high = np.clip(low, 0, frame), np.clip(high, 0, frame)
    size, whole = clipped_high - clipped_low, high - low
    if size.min() <= 1 or size.prod() < 0.5 * whole.prod():
        return None
    x, y, w, h = (round(float(v), 2) for v in (*clipped_low, *size))
    return (x, y, w, h)


def _far_to_near(parts: Sequence[Shape], camera: Camera) -> list[Shape]:
    """Limbs cover each other by depth; a face that looks away is covered by the hair."""
    forward = camera.axes[2]
    nearer = [part.nearer if isinstance(part, Stroke) else 0.0 for part in parts]
    depth = [float(part.points.mean(axis=0) @ forward) - near for part, near in zip(parts, nearer, strict=True)]
    return [parts[i] for i in sorted(range(len(parts)), key=lambda i: -depth[i])]


# Objects


def _draw_parts(image: np.ndarray, parts: Sequence[Shape], camera: Camera, light: Light, glow: float) -> None:
    """Draw the parts of one object in order. `glow` lifts what stands in lamp light."""
    sizes = [len(part.points) for part in parts]
    starts = np.cumsum([0, *sizes[:-1]])
    world = np.concatenate([part.points for part in parts])
    points = camera.to_camera(world)
    depth = points[:, 2]
    if depth.max() < NEAR:
        return
    pixels = points[:, :2] / np.maximum(depth, NEAR)[:, None] * camera.focal
    pixels += (camera.width / 2, camera.height / 2)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    if high[0] < -50 or low[0] > camera.width + 50:
        return
    if depth.min() >= NEAR and max(high.max(), -low.min()) <= LIMIT:
        fixed, whole = np.round(pixels * 16).astype(np.int32), [True] * len(parts)
    else:
        fixed = np.round(np.clip(pixels, -LIMIT, LIMIT) * 16).astype(np.int32)
        inside = (depth >= NEAR) & (np.abs(pixels).max(axis=1) <= LIMIT)
        whole = np.logical_and.reduceat(inside, starts).tolist()
    towards_eye = np.array([camera.x, camera.y, camera.z]) - world[starts]
    for part, start, size, to_eye, is_whole in zip(
        parts, starts.tolist(), sizes, towards_eye.tolist(), whole, strict=True
    ):
        here, distance = slice(start, start + size), float(depth[start])
        if isinstance(part, Polygon | Panes):
            nx, ny, nz = part.normal
            faces_us = nx * to_eye[0] + ny * to_eye[1] + nz * to_eye[2] > 0
            if isinstance(part, Panes):
                if faces_us:
                    _draw_panes(image, pixels[here].reshape(-1, 4, 2), depth[here].reshape(-1, 4), part, light)
                continue
            if not faces_us and not part.two_sided:
                continue
            if part.emits:
                colour = light.through_air(part.colour, distance * 0.5)
            else:
                colour = light.face(part.colour, part.normal, distance)
                if glow:
                    colour = _lift(colour, part.colour, glow)
            if is_whole:
                cv2.fillPoly(image, [fixed[here]], colour, cv2.LINE_AA, SHIFT)
            else:
                outline = project(part.points, camera)
                if outline is not None:
                    fill(image, outline, colour)
        elif distance > 0.4:
            scale = camera.focal / distance
            if isinstance(part, Stroke):
                _draw_stroke(image, pixels[here].tolist(), part.radius * scale, part.colour, light, distance, glow)
            else:
                _draw_ball(image, pixels[start].tolist(), part.radius * scale, part, light, distance, glow)


def _draw_ball(
    image: np.ndarray, centre: Sequence[float], radius: float, part: Disc, light: Light, distance: float, glow: float
) -> None:
    """A ball: a disc, with a lighter one towards the sun where it is large enough to show."""
    if part.emits:
        disc(image, centre, radius, light.through_air(part.colour, distance * 0.5))
        return
    base = _lift(light.face(part.colour, (0.2, -0.2, 0.6), distance), part.colour, glow)
    disc(image, centre, radius, base)
    if radius > 5:
        shine = tuple(min(255.0, c * 1.12 + 6) for c in base)
        disc(image, (centre[0] - radius * 0.22, centre[1] - radius * 0.28), radius * 0.55, shine)


def _draw_panes(image: np.ndarray, quads: np.ndarray, depth: np.ndarray, part: Panes, light: Light) -> None:
    height, width = image.shape[:2]
    low, high = quads.min(axis=1), quads.max(axis=1)
    inside = (depth.min(axis=1) > 1.0) & (high >= 0).all(axis=1) & (low[:, 0] < width) & (low[:, 1] < height)
    inside &= (high - low).max(axis=1) > 1.5
    if not inside.any():
        return
    distance = float(depth[inside].mean())
    colour = (
        light.through_air(part.colour, distance * 0.5) if part.emits else light.face(part.colour, part.normal, distance)
    )
    cv2.fillPoly(image, list(np.round(quads[inside] * 16).astype(np.int32)), colour, cv2.LINE_AA, SHIFT)


def _lift(colour: tuple[float, ...], paint: RGB, glow: float) -> tuple[float, float, float]:
    return (colour[0] + paint[0] * glow, colour[1] + paint[1] * glow, colour[2] + paint[2] * glow)


def _draw_stroke(
    image: np.ndarray, ends: list[list[float]], radius: float, paint: RGB, light: Light, distance: float, glow: float
) -> None:
    """A limb: a thick line, darker at its rim and lighter along its sunny side, so that it looks round."""
    (ax, ay), (bx, by) = ends
    if max(abs(ax), abs(ay), abs(bx), abs(by)) > LIMIT:
        return
    base = _lift(light.face(paint, (0.3, -0.25, 0.35), distance), paint, glow)
    tones = ((1.0, 0.84, 0.0), (0.72, 1.0, 0.12), (0.3, 1.1, 0.3)) if radius > 3 else ((1.0, 0.95, 0.0),)
    for share, tone, offset in tones:
        width = max(1, round(2 * radius * share))
        right, down = -offset * radius, -0.2 * offset * radius
        p = round((ax + right) * 16), round((ay + down) * 16)
        q = round((bx + right) * 16), round((by + down) * 16)
        colour = (min(255.0, base[0] * tone), min(255.0, base[1] * tone), min(255.0, base[2] * tone))
        cv2.line(image, p, q, colour, width, cv2.LINE_AA, SHIFT)


def bonnet_rim(across: np.ndarray) -> np.ndarray:
    """How far down a dashboard camera's picture the bonnet begins, for places across it, as shares of the picture."""
    return np.asarray(0.945 + 0.06 * np.abs(2 * across - 1) ** 2.2)


def _draw_bonnet(image: np.ndarray, vehicle: VehicleState, light: Light) -> None:
    """The bonnet below the windscreen, so that a dashboard camera looks like one."""
    height, width = image.shape[:2]
    paint = VEHICLE_COLOURS[vehicle.vehicle.colour]
    x = np.linspace(-0.08, 1.08, 25)
    y = bonnet_rim(x)
    outline = np.concatenate(
        [np.stack([x * width, y * height], axis=1), [[1.1 * width, 1.1 * height], [-0.1 * width, 1.1 * height]]]
    )
    fill(image, outline, light.face(paint, (0.0, 0.0, 1.0), 0.0))
    rim = np.stack([x * width, y * height], axis=1)
    band = np.concatenate([rim, rim[::-1] + np.array([0.0, height * 0.012])])
    fill(image, band, tuple(c * 0.7 for c in light.face(paint, (0.0, 0.0, 1.0), 0.0)))


# Weather and sensor


@functools.lru_cache(maxsize=4)
def _noise(height: int, width: int, scale: float) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 3.2 * scale, (height + 64, width + 64, 3)).astype(np.int16)


def _weather(image: np.ndarray, street: Street, seed: int, blur: float, noise: float) -> None:
    rng = np.random.default_rng([seed, street.seed, 17])
    height, width = image.shape[:2]
    if street.weather == "rainy":
        streaks = image.copy()
        for _ in range(130):
            x, y, length = rng.integers(width), rng.integers(height), int(rng.integers(6, 20))
            tone = int(rng.integers(170, 225)) if street.light == "bright" else int(rng.integers(110, 170))
            cv2.line(
                streaks,
                (int(x), int(y)),
                (int(x) - length // 5, int(y) + length),
                (tone, tone, tone + 6),
                1,
                cv2.LINE_AA,
            )
        cv2.addWeighted(streaks, 0.45, image, 0.55, 0, dst=image)
    if blur > 0:
        cv2.GaussianBlur(image, (0, 0), blur, dst=image)
    if noise > 0:
        dx, dy = int(rng.integers(64)), int(rng.integers(64))
        grain = _noise(height, width, round(noise, 2))[dy : dy + height, dx : dx + width]
        np.copyto(image, cv2.add(image, grain, dtype=cv2.CV_8U))
