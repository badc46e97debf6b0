"""What is close to the lens in Blender: the bonnet below a dashboard camera, and rain."""

from __future__ import annotations

import numpy as np

from cityscribe.world.blender_mesh import Mesh, mesh_of
from cityscribe.world.look import VEHICLE_COLOURS
from cityscribe.world.render import bonnet_rim
from cityscribe.world.scene import Camera, VehicleState

_STREAKS = 900


def bonnet_mesh(vehicle: VehicleState, camera: Camera) -> Mesh:
    """The bonnet that covers as much of the picture as the raster renderer's, as a curved sheet about 0.5 m down."""
    across, along = np.linspace(-0.08, 1.08, 33), np.linspace(0.0, 1.0, 13)
    u, v = np.meshgrid(across, along)  # [13, 33]
    rim = bonnet_rim(u)
    columns, rows = u * camera.width, (rim + v * (1.25 - rim)) * camera.height
    drop = 0.50 + 0.10 * (1 - v) ** 3 + 0.06 * np.abs(2 * u - 1) ** 2  # metres below the lens
    depth = drop * camera.focal / (rows - camera.height / 2)
    points = _in_world(camera, columns, rows, depth)
    i, j = np.meshgrid(np.arange(12), np.arange(32), indexing="ij")
    corner = (i * 33 + j).ravel()
    quads = np.stack([corner + 33, corner + 34, corner + 1, corner], axis=1)
    paint = VEHICLE_COLOURS[vehicle.vehicle.colour]
    return mesh_of(points.reshape(-1, 3), quads.ravel(), np.full(len(quads), 4), paint, "paint coat", True)


def rain_mesh(camera: Camera, rng: np.random.Generator) -> Mesh:
    """Drops in the air before the camera, drawn out to streaks by the shutter."""
    depth = 2.5 + 12.5 * rng.random(_STREAKS) ** 0.6
    columns, rows = rng.random(_STREAKS) * camera.width, (rng.random(_STREAKS) * 1.2 - 0.1) * camera.height
    top = _in_world(camera, columns, rows, depth)
    way = np.array([0.05, 0.02, -0.34]) * rng.uniform(0.6, 1.4, (_STREAKS, 1))
    aside = camera.axes[0] * (0.0009 + 0.00035 * depth)[:, None]
    corners = np.stack([top - aside, top + way - aside, top + way + aside, top + aside], axis=1).reshape(-1, 3)
    return mesh_of(corners, np.arange(len(corners)), np.full(_STREAKS, 4), (226, 230, 236), "rain", False)


def _in_world(camera: Camera, columns: np.ndarray, rows: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """World points [..., 3] of pixels at a depth in metres."""
    right = (columns - camera.width / 2) / camera.focal * depth
    down = (rows - camera.height / 2) / camera.focal * depth
    return np.array([camera.x, camera.y, camera.z]) + np.stack([right, down, depth], axis=-1) @ camera.axes
