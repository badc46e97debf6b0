"""What `cityscribe demo` runs: a small synthetic city and the settings of a run on it.

docs/hardware.md says how long it takes, and what each of these settings gave.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from cityscribe.files import write_bytes, write_text
from cityscribe.pipeline import Watch
from cityscribe.project import dump_settings, resolve
from cityscribe.world.dataset import WorldSettings, write_dataset

PHASE = 2
"""That the first picture shows: the pedestrian is seen, and the vehicle is near."""


def write_demo(runs: Path, seed: int, watch: Watch, tell: Callable[[str], None]) -> Path:
    """Write the city, unless it is there, and the project file of the demo; returns the file. `tell` hears at once
    where a first picture of the city lies."""
    # Encoded quickly: a video is read once here, and a film of noise gets no smaller by more work.
    city = WorldSettings(train=130, val=16, external=0.3, seed=seed, fps=4, width=960, encoding="quick")
    data = runs / f"city-{seed}"
    project = runs / "demo.yaml"
    project.parent.mkdir(parents=True, exist_ok=True)
    if not data.exists():
        picture = runs / f"city-{seed}.jpg"
        write_bytes(picture, first_picture(city))
        tell(f"first picture, a pedestrian and a vehicle of this city in their boxes: {picture}")
        with watch("world") as progress:
            write_dataset(data, city, progress=progress)
    write_text(project, dump_settings(resolve(demo_settings(runs, data, seed))))
    return project


def demo_settings(runs: Path, data: Path, seed: int) -> dict[str, object]:
    """The settings of the demo that are not the defaults."""
    return {
        "name": "demo",
        "runs": str(runs),
        "seed": seed,
        # The tuned model and the blind one learn at the same time, each on a core: a model as small as this one is
        # hardly faster on two.
        "at_once": 2,
        "threads": 1,
        "data": {"path": str(data)},
        "prepare": {
            # At 160 pixels a pedestrian is seen well only in an image of its own, and not in each phase.
            "images": ["appearance", "local", "global"],
            "short_per_long": 0.0,
            "pedestrian_threshold": 700.0,
            "vehicle_threshold": 700.0,
        },
        "model": {"base": "cityscribe-tiny", "block_expansion": {"blocks": 2}},
        # Many scenarios once: of few that come again and again it learns the captions by heart.
        "train": {"epochs": 1.0, "lr": 2.2e-3, "warmup": 0.05, "batch_groups": 1, "save_steps": 200},
        "predict": {
            # A model that is as small as this one, tuned on single questions, is worse in a second turn.
            "order": "independent",
            "baselines": ["untuned", "blind"],
            "batch_size": 60,
            "max_new_tokens": 220,
        },
    }


def first_picture(city: WorldSettings) -> bytes:
    """A scene as the city has them, with the boxes that the model will be shown, as JPEG."""
    import numpy as np
    from PIL import Image

    from cityscribe.prepare.drawing import draw_boxes
    from cityscribe.world.event import sample_event
    from cityscribe.world.render import box_of
    from cityscribe.world.renderers import RENDERERS
    from cityscribe.world.rigs import Mast

    event = sample_event(city.seed)
    moment = event.boundaries_s[PHASE]
    camera = Mast(event, np.random.default_rng(0)).at(event, moment).of_width(city.width)
    frame = RENDERERS[city.renderer](event.scene_at(moment), camera)
    found = {
        "pedestrian": box_of(event.person_at(moment), camera),
        "vehicle": box_of(event.vehicle_at(moment), camera),
    }
    boxes = {role: box for role, box in found.items() if box is not None}
    file = io.BytesIO()
    Image.fromarray(draw_boxes(frame, boxes, box_scale=1.2, line_width=4)).save(file, "JPEG", quality=90)
    return file.getvalue()
