"""Projecting and painting: world polygons to pixels, and OpenCV's antialiased primitives."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from cityscribe.world.scene import Camera

NEAR = 0.15  # metres in front of the camera where faces are clipped
LIMIT = 8000.0  # pixels; limbs beyond it are far outside the frame
SHIFT = 4  # fractional bits of OpenCV's coordinates

cv2.setNumThreads(1)  # workers render side by side; OpenCV's own threads would only compete with them


def disc(image: np.ndarray, centre: Sequence[float], radius: float, colour: tuple[float, ...]) -> None:
    if max(abs(centre[0]), abs(centre[1]), radius) > LIMIT:
        return
    x, y = round(float(centre[0]) * 16), round(float(centre[1]) * 16)
    cv2.circle(image, (x, y), max(8, round(radius * 16)), colour, -1, cv2.LINE_AA, SHIFT)


def fill(image: np.ndarray, pixels: np.ndarray, colour: tuple[float, ...]) -> None:
    fixed = np.round(pixels * 16).astype(np.int32)
    cv2.fillPoly(image, [fixed], colour, cv2.LINE_AA, SHIFT)


# Half-spaces in camera axes, `n . point >= d`: in front of the near plane and within a wide cone around the frame
_NORMALS = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 6.0], [-1.0, 0.0, 6.0], [0.0, 1.0, 6.0], [0.0, -1.0, 6.0]])
_OFFSETS = np.array([NEAR, 0.0, 0.0, 0.0, 0.0])


def project(points: np.ndarray, camera: Camera) -> np.ndarray | None:
    """World polygon [n, 3] to pixels [m, 2], clipped to what is in front of the camera; None where nothing of it is."""
    seen = camera.to_camera(points)
    outside = seen @ _NORMALS.T < _OFFSETS
    if outside.all(axis=0).any():
        return None
    for number in np.flatnonzero(outside.any(axis=0)).tolist():
        room = seen @ _NORMALS[number] - _OFFSETS[number]
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
