"""Where cameras are mounted: behind the windscreen of the vehicle, or on a mast beside the street."""

from __future__ import annotations

import math

import numpy as np

from cityscribe.world.event import Event
from cityscribe.world.render import box_of
from cityscribe.world.scene import Camera, dashboard_camera, fixed_camera
from cityscribe.world.silhouettes import visible_share

WIDTH, HEIGHT = 640, 360
PLACES = 4
"""That are looked at before a mast is set up."""


class Dashboard:
    """The camera of the vehicle itself. `blur` and `noise` are those of `render`."""

    blur = 0.0
    noise = 1.0

    def at(self, event: Event, time_s: float) -> Camera:
        return dashboard_camera(event.vehicle_at(time_s), 0, width=WIDTH, height=HEIGHT, focal=500)


class Mast:
    """A fixed camera beside the street, set up so that both road users are in its picture all the time: of a few places
    the one from which most is seen of the person when the phases begin."""

    def __init__(self, event: Event, rng: np.random.Generator) -> None:
        self.blur = float(rng.choice([0.0, 0.0, 0.6, 0.9]))
        self.noise = float(rng.choice([0.6, 1.0, 1.6]))
        moments = event.boundaries_s[:-1]
        scenes = [event.scene_at(moment) for moment in moments]

        def seen(camera: Camera) -> float:
            boxes = [box_of(scene.people[0], camera) for scene in scenes]
            return sum(
                visible_share(scene, camera, "person", 0) * math.sqrt(box[2] * box[3])
                for scene, box in zip(scenes, boxes, strict=True)
                if box is not None
            )

        self._camera = max([_beside(event, rng) for _ in range(PLACES)], key=seen)

    def at(self, event: Event, time_s: float) -> Camera:
        return self._camera


def _beside(event: Event, rng: np.random.Generator) -> Camera:
    """A camera on a mast at a place drawn at random, which has the event in its picture."""
    moments = np.linspace(event.boundaries_s[0], event.end_s, 6)
    spots = [(s.x, s.y) for t in moments for s in (event.person_at(t), event.vehicle_at(t))]
    middle = (np.array(spots).max(axis=0) + np.array(spots).min(axis=0)) / 2
    side, end = (float(v) for v in rng.choice([-1, 1], 2))
    away = float(rng.uniform(9, 13))
    angle = float(rng.uniform(0.35, 1.1))
    where = (middle[0] + side * away * math.sin(angle), middle[1] + end * away * math.cos(angle))
    mast = float(rng.uniform(4.5, 7.0))
    target = (float(middle[0]), float(middle[1]))
    wide = fixed_camera(where, target, mast=mast, width=WIDTH, height=HEIGHT, focal=200)
    points = wide.to_camera(
        np.array(
            [[x + dx, y + dy, z] for x, y in spots for dx in (-2.2, 2.2) for dy in (-2.2, 2.2) for z in (0.0, 1.8)]
        )
    )
    seen = points[points[:, 2] > 2.0]
    reach = max(
        float(np.abs(seen[:, 0] / seen[:, 2]).max()) / (WIDTH / 2),
        float(np.abs(seen[:, 1] / seen[:, 2]).max()) / (HEIGHT / 2),
    )
    focal = float(np.clip(0.97 / reach, 300, 700))
    return fixed_camera(where, target, mast=mast, width=WIDTH, height=HEIGHT, focal=focal)
