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

from cityscribe.world.light import Light, light_of
from cityscribe.world.look import RGB, VEHICLE_COLOURS, VEHICLES
from cityscribe.world.scene import LANE_WIDTH, SIDEWALK_WIDTH, Camera, PersonState, Scene, Street, VehicleState
from cityscribe.world.shapes import Disc, Panes, Part, Polygon, Stroke, fixtures, person_parts, vehicle_parts

_SHIFT = 4  # fractional bits of OpenCV's coordinates
_NEAR = 0.15  # metres in front of the camera where faces are clipped
_LIMIT = 8000.0  # pixels; limbs beyond it are far outside the frame

cv2.setNumThreads(1)  # workers render side by side; OpenCV's own threads would only compete with them


def render(scene: Scene, camera: Camera, *, seed: int = 0) -> np.ndarray:
    """The picture that a camera takes of a scene: RGB uint8 [height, width, 3]. `seed` moves rain and noise only."""
    light = light_of(scene.street.weather, scene.street.light)
    image = _sky(camera, light)
    _draw_ground(image, scene, camera, light)
    objects: list[tuple[float, Sequence[Part], float]] = []
    for fixture in fixtures(scene.street):
        distance = math.hypot(fixture.x - camera.x, fixture.y - camera.y)
        ahead = (fixture.x - camera.x) * camera.axes[2, 0] + (fixture.y - camera.y) * camera.axes[2, 1]
        if ahead < -fixture.reach:
            continue
        if camera.on_vehicle is None and distance < 9:
            continue  # whoever put up the mast chose a free view
        objects.append((distance, fixture.parts, 0.0))
    for i, vehicle in enumerate(scene.vehicles):
        if i != camera.on_vehicle:
            objects.append((_distance(camera, vehicle), vehicle_parts(vehicle, light.lamps_lit), 0.12))
    for person in scene.people:
        objects.append((_distance(camera, person), _far_to_near(person_parts(person), camera), 0.20))
    for _, parts, glow in sorted(objects, key=lambda entry: -entry[0]):
        _draw_parts(image, parts, camera, light, glow if light.hour == "dark" else glow / 2)
    if camera.on_vehicle is not None:
        _draw_bonnet(image, scene.vehicles[camera.on_vehicle], light)
    _weather(image, scene.street, seed)
    return image


def person_box(state: PersonState, camera: Camera) -> tuple[float, float, float, float] | None:
    """The box `xywh` in pixels around a person, clipped to the frame; None where less than half of it is inside."""
    return _box(person_parts(state), camera)


def vehicle_box(state: VehicleState, camera: Camera) -> tuple[float, float, float, float] | None:
    """The box `xywh` in pixels around a vehicle, clipped to the frame; None where less than half of it is inside."""
    return _box(vehicle_parts(state, False), camera)


def _box(parts: Sequence[Part], camera: Camera) -> tuple[float, float, float, float] | None:
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


def _far_to_near(parts: list[Part], camera: Camera) -> list[Part]:
    """Limbs cover each other by depth; a face that looks away is covered by the hair."""
    forward = camera.axes[2]
    nearer = [part.nearer if isinstance(part, Stroke) else 0.0 for part in parts]
    depth = [float(part.points.mean(axis=0) @ forward) - near for part, near in zip(parts, nearer, strict=True)]
    return [parts[i] for i in sorted(range(len(parts)), key=lambda i: -depth[i])]


def _distance(camera: Camera, state: PersonState | VehicleState) -> float:
    return math.hypot(state.x - camera.x, state.y - camera.y)


# The sky and the ground


@functools.lru_cache(maxsize=64)
def _sky_column(height: int, weather: str, hour: str, horizon: int) -> np.ndarray:
    light = light_of(weather, hour)
    share = np.clip(np.arange(height) / max(horizon, 1), 0, 1)[:, None] ** 1.3
    return (np.array(light.zenith) * (1 - share) + np.array(light.horizon) * share).astype(np.uint8)


def _sky(camera: Camera, light: Light) -> np.ndarray:
    horizon = int(camera.height / 2 + camera.focal * math.tan(camera.pitch))
    column = _sky_column(camera.height, light.weather, light.hour, min(max(horizon, 0), camera.height * 2))
    return np.ascontiguousarray(np.broadcast_to(column[:, None, :], (camera.height, camera.width, 3)))


_PAVING: dict[str, RGB] = {
    "land": (112, 138, 82),
    "plaza": (168, 164, 156),
    "sidewalk": (176, 170, 162),
    "kerb": (206, 204, 198),
    "road": (104, 105, 108),
    "paint": (236, 236, 230),
}


def _draw_ground(image: np.ndarray, scene: Scene, camera: Camera, light: Light) -> None:
    street = scene.street
    horizon = camera.height / 2 + camera.focal * math.tan(camera.pitch)
    top = int(min(max(math.ceil(horizon), 0), camera.height))
    if top >= camera.height:
        return
    land = _lit(_PAVING["plaza" if street.road == "urban road" else "land"], light, street.wet)
    image[top:] = land
    for points, kind in _paving(street):
        _fill(image, points, _lit(_PAVING[kind], light, street.wet and kind != "paint"), camera)
    gain = _ground_gain(camera, scene, light, top)
    region = image[top:]
    if gain is not None:
        np.copyto(region, cv2.multiply(region, cv2.merge([gain, gain, gain]), scale=1 / 128))
    if street.wet:
        _puddles(region, light, street)
    # Haze by the distance of each row of the ground
    rows = np.arange(top, camera.height) + 0.5
    below = np.maximum((rows - horizon) / camera.focal, 1e-4)
    distance = np.minimum(camera.z / below, 400.0)
    haze = (1 - np.exp(-distance / light.visibility)).astype(np.float32)
    mixed = region * (1 - haze)[:, None, None] + np.array(light.horizon, dtype=np.float32) * haze[:, None, None]
    image[top:] = mixed.astype(np.uint8)


def _lit(colour: RGB, light: Light, wet: bool) -> tuple[float, float, float]:
    red, green, blue = (float(c * g) for c, g in zip(colour, light.gain, strict=True))
    if wet:
        red, green, blue = red * 0.66, green * 0.69, blue * 0.76
    return (red, green, blue)


@functools.lru_cache(maxsize=32)
def _paving(street: Street) -> tuple[tuple[np.ndarray, str], ...]:
    """Flat quads of the ground in the order in which they are laid, [4, 3] metres each."""
    low, high = -30.0, 130.0
    half = street.half_width
    quads: list[tuple[np.ndarray, str]] = []

    def quad(x0: float, x1: float, y0: float, y1: float, kind: str) -> None:
        quads.append((np.array([[x0, y0, 0.0], [x1, y0, 0.0], [x1, y1, 0.0], [x0, y1, 0.0]]), kind))

    if street.road == "parking lot":
        quad(-half - 12, half + 12, low, high, "road")
        for side in (-1, 1):
            for y in np.arange(-18.0, 60.0, 2.8):
                quad(side * (half + 0.6), side * (half + 5.4), y, y + 0.12, "paint")
            quad(side * (half + 5.4), side * (half + 5.52), -18.0, 59.0, "paint")
        return tuple(quads)
    if street.sidewalks:
        for side in (-1, 1):
            quad(side * half, side * (half + SIDEWALK_WIDTH), low, high, "sidewalk")
            quad(side * half, side * (half + 0.16), low, high, "kerb")
    quad(-half, half, low, high, "road")
    gap: tuple[float, float] | None = None
    if street.junction_y is not None:
        gap = (street.junction_y - 3.6, street.junction_y + 3.6)
        quad(-60, 60, *gap, "road")
    blocks = [(low, high)] if gap is None else [(low, gap[0]), (gap[1], high)]
    crosswalk = None if street.crosswalk_y is None else (street.crosswalk_y - 2.0, street.crosswalk_y + 2.0)

    def line(x: float, width: float, dash: float) -> None:
        for y0, y1 in blocks:
            step = dash * 2.2 if dash else y1 - y0
            y = y0
            while y < y1:
                end = min(y + (dash or y1 - y0), y1)
                if crosswalk is None or end < crosswalk[0] - 0.5 or y > crosswalk[1] + 0.5:
                    quad(x - width / 2, x + width / 2, y, end, "paint")
                elif not dash:
                    quad(x - width / 2, x + width / 2, y, crosswalk[0] - 0.5, "paint")
                    quad(x - width / 2, x + width / 2, crosswalk[1] + 0.5, end, "paint")
                y += step

    if street.road == "urban road" or street.lanes > 1:
        for side in (-1, 1):
            line(side * (half - 0.22), 0.12, 0.0)
    for lane in range(1, street.lanes):
        middle = lane * 2 == street.lanes
        line(
            -half + lane * LANE_WIDTH,
            0.16 if middle and street.lanes > 2 else 0.12,
            0.0 if middle and street.lanes > 2 else 2.5,
        )
    if crosswalk is not None:
        for x in np.arange(-half + 0.35, half - 0.3, 0.92):
            quad(x, x + 0.46, *crosswalk, "paint")
        quad(-half + 0.2, 0.0 if street.lanes > 1 else half - 0.2, crosswalk[0] - 1.6, crosswalk[0] - 1.25, "paint")
    return tuple(quads)


def _ground_gain(camera: Camera, scene: Scene, light: Light, top: int) -> np.ndarray | None:
    """How much brighter or darker the ground is than plain: 128 is as it is. Shadows by day, lamp light by night."""
    gain = np.full((camera.height - top, camera.width), 128, np.uint8)
    shift = np.array([0.0, -top])

    def blob(outline: np.ndarray, value: int) -> None:
        pixels = _project(outline, camera)
        if pixels is not None:
            _fill_pixels(gain, pixels + shift, (value,))

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
    for person in scene.people:
        stretch = (
            circle * np.array([0.34, 0.34, 0]) + np.maximum(circle @ np.array([0.78, 0.62, 0]), 0)[:, None] * slant * 4
        )
        blob(np.array([person.x, person.y, 0.0]) + stretch, strength)
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


# Objects


def _draw_parts(image: np.ndarray, parts: Sequence[Part], camera: Camera, light: Light, glow: float) -> None:
    """Draw the parts of one object in order. `glow` lifts what stands in lamp light."""
    points = camera.to_camera(np.concatenate([part.points for part in parts]))
    depth = points[:, 2]
    if depth.max() < _NEAR:
        return
    safe = np.maximum(depth, _NEAR)
    pixels = points[:, :2] / safe[:, None] * camera.focal + np.array([camera.width / 2, camera.height / 2])
    if pixels[:, 0].max() < -50 or pixels[:, 0].min() > camera.width + 50:
        return
    eye = np.array([camera.x, camera.y, camera.z])
    start = 0
    for part in parts:
        stop = start + len(part.points)
        here, distance = slice(start, stop), float(depth[start])
        start = stop
        if isinstance(part, Panes):
            if float(np.dot(eye - part.points[0], part.normal)) > 0:
                _draw_panes(image, pixels[here].reshape(-1, 4, 2), depth[here].reshape(-1, 4), part, light)
        elif isinstance(part, Polygon):
            facing = float(np.dot(eye - part.points[0], part.normal))
            if facing <= 0 and not part.two_sided:
                continue
            colour = (
                light.through_air(part.colour, distance * 0.5)
                if part.emits
                else light.face(part.colour, part.normal, distance)
            )
            if glow and not part.emits:
                colour = _lift(colour, part.colour, glow)
            if depth[here].min() < _NEAR or np.abs(pixels[here]).max() > _LIMIT:
                outline = _project(part.points, camera)
                if outline is not None:
                    _fill_pixels(image, outline, colour)
            else:
                _fill_pixels(image, pixels[here], colour)
        elif distance > 0.4:
            scale = camera.focal / distance
            if isinstance(part, Stroke):
                _draw_stroke(image, pixels[here], part.radius * scale, part.colour, light, distance, glow)
            else:
                centre, radius = pixels[here][0], part.radius * scale
                if part.emits:
                    _disc(image, centre, radius, light.through_air(part.colour, distance * 0.5))
                    continue
                base = _lift(light.face(part.colour, (0.2, -0.2, 0.6), distance), part.colour, glow)
                _disc(image, centre, radius, base)
                if radius > 5:
                    shine = tuple(min(255.0, c * 1.12 + 6) for c in base)
                    _disc(image, centre - radius * np.array([0.22, 0.28]), radius * 0.55, shine)


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
    cv2.fillPoly(image, list(np.round(quads[inside] * 16).astype(np.int32)), colour, cv2.LINE_AA, _SHIFT)


def _lift(colour: tuple[float, ...], paint: RGB, glow: float) -> tuple[float, float, float]:
    return (colour[0] + paint[0] * glow, colour[1] + paint[1] * glow, colour[2] + paint[2] * glow)


def _draw_stroke(
    image: np.ndarray, ends: np.ndarray, radius: float, paint: RGB, light: Light, distance: float, glow: float
) -> None:
    """A limb: a thick line, darker at its rim and lighter along its sunny side, so that it looks round."""
    if np.abs(ends).max() > _LIMIT:
        return
    base = _lift(light.face(paint, (0.3, -0.25, 0.35), distance), paint, glow)
    a, b = ends[0], ends[1]
    tones = ((1.0, 0.84, 0.0), (0.72, 1.0, 0.12), (0.3, 1.1, 0.3)) if radius > 3 else ((1.0, 0.95, 0.0),)
    for share, tone, offset in tones:
        width = max(1, round(2 * radius * share))
        shift = np.array([-offset * radius, -0.2 * offset * radius])
        p, q = np.round((a + shift) * 16).astype(int), np.round((b + shift) * 16).astype(int)
        colour = tuple(min(255.0, c * tone) for c in base)
        cv2.line(image, tuple(map(int, p)), tuple(map(int, q)), colour, width, cv2.LINE_AA, _SHIFT)


def _disc(image: np.ndarray, centre: np.ndarray, radius: float, colour: tuple[float, ...]) -> None:
    if np.abs(centre).max() > _LIMIT or radius > _LIMIT:
        return
    x, y = (round(float(v) * 16) for v in centre)
    cv2.circle(image, (x, y), max(8, round(radius * 16)), colour, -1, cv2.LINE_AA, _SHIFT)


def _fill(image: np.ndarray, points: np.ndarray, colour: tuple[float, ...], camera: Camera) -> None:
    pixels = _project(points, camera)
    if pixels is not None:
        _fill_pixels(image, pixels, colour)


def _fill_pixels(image: np.ndarray, pixels: np.ndarray, colour: tuple[float, ...]) -> None:
    fixed = np.round(pixels * 16).astype(np.int32)
    cv2.fillPoly(image, [fixed], colour, cv2.LINE_AA, _SHIFT)


# Half-spaces in camera axes, `n . point >= d`: in front of the near plane and within a wide cone around the frame
_GUARD = (
    (np.array([0.0, 0.0, 1.0]), _NEAR),
    (np.array([1.0, 0.0, 6.0]), 0.0),
    (np.array([-1.0, 0.0, 6.0]), 0.0),
    (np.array([0.0, 1.0, 6.0]), 0.0),
    (np.array([0.0, -1.0, 6.0]), 0.0),
)


def _project(points: np.ndarray, camera: Camera) -> np.ndarray | None:
    """World polygon [n, 3] to pixels [m, 2], clipped to what is in front of the camera; None where nothing of it is."""
    seen = camera.to_camera(points)
    for normal, offset in _GUARD:
        room = seen @ normal - offset
        if (room >= 0).all():
            continue
        if (room < 0).all():
            return None
        kept = []
        for i in range(len(seen)):
            j = (i + 1) % len(seen)
            if room[i] >= 0:
                kept.append(seen[i])
            if (room[i] >= 0) != (room[j] >= 0):
                kept.append(seen[i] + (seen[j] - seen[i]) * (room[i] / (room[i] - room[j])))
        seen = np.array(kept)
    return camera.to_pixels(seen)


def _draw_bonnet(image: np.ndarray, vehicle: VehicleState, light: Light) -> None:
    """The bonnet below the windscreen, so that a dashboard camera looks like one."""
    height, width = image.shape[:2]
    paint = VEHICLE_COLOURS[vehicle.vehicle.colour]
    x = np.linspace(-0.08, 1.08, 25)
    y = 0.945 + 0.06 * np.abs(2 * x - 1) ** 2.2
    outline = np.concatenate(
        [np.stack([x * width, y * height], axis=1), [[1.1 * width, 1.1 * height], [-0.1 * width, 1.1 * height]]]
    )
    _fill_pixels(image, outline, light.face(paint, (0.0, 0.0, 1.0), 0.0))
    rim = np.stack([x * width, y * height], axis=1)
    band = np.concatenate([rim, rim[::-1] + np.array([0.0, height * 0.012])])
    _fill_pixels(image, band, tuple(c * 0.7 for c in light.face(paint, (0.0, 0.0, 1.0), 0.0)))


# Weather and sensor


@functools.lru_cache(maxsize=4)
def _noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 3.2, (height + 64, width + 64, 3)).astype(np.int16)


def _weather(image: np.ndarray, street: Street, seed: int) -> None:
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
    dx, dy = int(rng.integers(64)), int(rng.integers(64))
    grain = _noise(height, width)[dy : dy + height, dx : dx + width]
    np.copyto(image, cv2.add(image, grain, dtype=cv2.CV_8U))
