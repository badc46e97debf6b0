"""What `cityscribe demo` runs: a small synthetic city and the settings of a run on it."""

from __future__ import annotations

from pathlib import Path

from cityscribe.files import write_text
from cityscribe.pipeline import Watch
from cityscribe.project import dump_settings, resolve
from cityscribe.world.dataset import WorldSettings, write_dataset


def write_demo(runs: Path, seed: int, watch: Watch) -> Path:
    """Write the city, unless it is there, and the project file of the demo; returns the file."""
    city = WorldSettings(train=130, val=16, external=0.3, seed=seed, fps=4, width=960)
    data = runs / f"demo-city-{seed}"
    if not data.exists():
        with watch("world") as progress:
            write_dataset(data, city, progress=progress)
    settings = resolve(
        {
            "name": "demo",
            "runs": str(runs),
            "seed": seed,
            "data": {"path": str(data)},
            "prepare": {
                # At 160 pixels a pedestrian is seen well only in an image of its own, and not in each phase.
                "images": ["appearance", "local", "global"],
                "short_per_long": 0.5,
                "pedestrian_threshold": 700.0,
                "vehicle_threshold": 700.0,
            },
            "model": {"base": "cityscribe-tiny", "block_expansion": {"blocks": 4}},
            # Many scenarios once: of few that come again and again it learns the captions by heart.
            "train": {"epochs": 1.0, "lr": 1.1e-3, "batch_groups": 1, "save_steps": 200},
            "predict": {
                # A model that is as small as this one, tuned on single questions, is worse in a second turn.
                "order": "independent",
                "baselines": ["untuned", "blind"],
                "batch_size": 60,
                "max_new_tokens": 220,
            },
        }
    )
    project = runs / "demo.yaml"
    project.parent.mkdir(parents=True, exist_ok=True)
    write_text(project, dump_settings(settings))
    return project
