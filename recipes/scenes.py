"""Ten scenes of the synthetic city by each renderer, from the same seeds, as contact sheets for the documentation.

    python -m recipes.scenes                        # docs/images/raster-scenes.jpg and blender-scenes.jpg
    python -m recipes.scenes --renderers raster     # only one of them; Blender needs `pip install '.[blender]'`

Each event is sampled from its seed; weather and light are set here so that the sheet shows all of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from cityscribe.world.event import sample_event
from cityscribe.world.renderers import RENDERERS
from cityscribe.world.scene import Camera, Scene, dashboard_camera, fixed_camera

SCENES = (
    # seed, share of the event that has passed, camera, weather, light
    (2, 0.5, "mast", "clear", "bright"),
    (3, 0.6, "dashboard", "clear", "bright"),
    (0, 0.5, "mast", "clear", "dark"),
    (1, 0.5, "dashboard", "clear", "dim"),
    (9, 0.5, "dashboard", "rainy", "bright"),
    (6, 0.5, "mast", "cloudy", "bright"),
    (5, 0.6, "dashboard", "foggy", "bright"),
    (4, 0.6, "mast", "rainy", "dark"),
    (7, 0.5, "dashboard", "cloudy", "dark"),
    (8, 0.5, "mast", "clear", "dim"),
)

WIDTH, HEIGHT = 480, 270
COLUMNS = 2
MAX_BYTES = 600_000


def scene_of(seed: int, share: float, weather: str, light: str) -> Scene:
    event = sample_event(seed)
    scene = event.scene_at(share * event.end_s)
    return replace(scene, street=replace(scene.street, weather=weather, light=light, wet=weather == "rainy"))


def camera_of(scene: Scene, kind: str, *, width: int = WIDTH, height: int = HEIGHT) -> Camera:
    """The vehicle's own camera, or one on a mast that looks at the pedestrian from the side of the street."""
    if kind == "dashboard":
        return dashboard_camera(scene.vehicles[0], 0, width=width, height=height, focal=0.78 * width)
    person = scene.people[0]
    side = 1 if person.x < 0 else -1
    at, target = (person.x + side * 8, person.y - 10), (person.x + side * 1.5, person.y + 1.5)
    return fixed_camera(at, target, mast=5.0, width=width, height=height, focal=0.75 * width)


def sheet(renderer: Callable[..., np.ndarray]) -> np.ndarray:
    """All scenes in rows of COLUMNS: RGB uint8."""
    cells = []
    for seed, share, kind, weather, light in SCENES:
        scene = scene_of(seed, share, weather, light)
        cells.append(renderer(scene, camera_of(scene, kind)))
    return np.concatenate(
        [np.concatenate(cells[i : i + COLUMNS], axis=1) for i in range(0, len(cells), COLUMNS)], axis=0
    )


def encoded(picture: np.ndarray) -> bytes:
    """The best JPEG of at most MAX_BYTES."""
    for quality in range(92, 40, -4):
        data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) <= MAX_BYTES:
            return data
    raise ValueError(f"no JPEG of at most {MAX_BYTES} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renderers", nargs="+", choices=list(RENDERERS), default=list(RENDERERS))
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.renderers:
        (options.output / f"{name}-scenes.jpg").write_bytes(encoded(sheet(RENDERERS[name])))


if __name__ == "__main__":
    main()
