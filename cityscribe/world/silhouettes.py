"""Which pixel shows what: masks, how much of each thing is seen, and the order in depth.

The same solids, camera and order as `render`, painted in numbers instead of colours and without antialiasing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cityscribe.world.canvas import NEAR, SHIFT, project
from cityscribe.world.render import in_order
from cityscribe.world.scene import Camera, Scene
from cityscribe.world.shapes import Disc, Panes, Shape, Stroke
from cityscribe.world.solids import Solid


@dataclass(frozen=True, slots=True)
class Silhouette:
    """One thing in a picture."""

    solid: Solid
    number: int  # of its pixels in the map; also its place in depth, from far (1) to near
    pixels: int  # that show it
    visible: float  # share of its pixels within the frame that nothing nearer covers

    @property
    def key(self) -> tuple[str, int]:
        """Its kind and its index among its kind, as the scene counts."""
        return self.solid.kind, self.solid.index


def silhouettes(scene: Scene, camera: Camera) -> tuple[np.ndarray, list[Silhouette]]:
    """A map of numbers, uint16 [height, width], 0 where nothing stands, and what each number is, from far to near."""
    shown = in_order(scene, camera, False)
    seen = np.zeros((camera.height, camera.width), np.uint16)
    alone = np.zeros_like(seen)
    whole = []
    for number, solid in enumerate(shown, start=1):
        alone[:] = 0
        _paint(alone, solid.parts, camera)
        covered = alone > 0
        whole.append(int(np.count_nonzero(covered)))
        seen[covered] = number
    counts = np.bincount(seen.ravel(), minlength=len(shown) + 1)[1:].tolist()
    return seen, [
        Silhouette(solid, number, count, count / of if of else 0.0)
        for number, (solid, count, of) in enumerate(zip(shown, counts, whole, strict=True), start=1)
        if of
    ]


def visible_share(scene: Scene, camera: Camera, kind: str, index: int) -> float:
    """How much of one thing is seen: 0 (hidden or out of the picture) to 1. Only what is nearer is looked at."""
    shown = in_order(scene, camera, False)
    place = next((i for i, solid in enumerate(shown) if (solid.kind, solid.index) == (kind, index)), None)
    if place is None:
        return 0.0
    canvas = np.zeros((camera.height, camera.width), np.uint16)
    _paint(canvas, shown[place].parts, camera)
    whole = np.count_nonzero(canvas)
    if not whole:
        return 0.0
    cover = np.zeros_like(canvas)
    for solid in shown[place + 1 :]:
        _paint(cover, solid.parts, camera)
    return float(np.count_nonzero((canvas > 0) & (cover == 0)) / whole)


def _paint(canvas: np.ndarray, parts: Sequence[Shape], camera: Camera) -> None:
    """Set to 1 what the parts of one thing cover."""
    for part in parts:
        if isinstance(part, Panes):
            continue  # they lie on a wall
        if isinstance(part, Stroke | Disc):
            points = camera.to_camera(part.points)
            if points[:, 2].min() < 2 * NEAR:
                continue
            radius = part.radius * camera.focal / points[0, 2]
            fixed = np.round(camera.to_pixels(points) * 16).astype(int).tolist()
            if isinstance(part, Disc):
                cv2.circle(canvas, fixed[0], max(8, round(radius * 16)), 1, -1, cv2.LINE_8, SHIFT)
            else:
                cv2.line(canvas, fixed[0], fixed[1], 1, max(1, round(2 * radius)), cv2.LINE_8, SHIFT)
            continue
        outline = project(part.points, camera)
        if outline is not None:
            cv2.fillPoly(canvas, [np.round(outline * 16).astype(np.int32)], 1, cv2.LINE_8, SHIFT)
