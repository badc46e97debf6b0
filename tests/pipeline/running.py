"""Settings of a small run, and running it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cityscribe import pipeline
from cityscribe.project import Settings, resolve


def settings_of(city: Path, model: Path, runs: Path, **sections: dict[str, object]) -> Settings:
    values: dict[str, dict[str, object]] = {
        "data": {"path": str(city)},
        "prepare": {"pedestrian_threshold": 64, "vehicle_threshold": 64, "workers": 1, "image_size": 128},
        "model": {"base": str(model), "block_expansion": {"blocks": 1}},
        "train": {"epochs": 2, "batch_groups": 4, "save_steps": 2, "precision": "fp32"},
        "predict": {"max_new_tokens": 6, "precision": "fp32"},
        "report": {"samples": 2},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return resolve({"runs": str(runs), "name": "small", **values})


def as_it_is(settings: Settings) -> Settings:
    values = settings.model_dump(mode="json")
    return resolve({**values, "model": {"base": values["model"]["base"], "method": "none"}})


def run_stages(settings: Settings, *stages: str, said: list[str] | None = None) -> list[str]:
    """Run, and return the steps that were made, not those that were up to date. `said` takes what was told."""
    made: list[str] = []

    @contextmanager
    def watch(name: str) -> Iterator[Callable[..., None]]:
        made.append(name)
        yield lambda *_: None

    pipeline.run(settings, watch, [].append if said is None else said.append, stages)
    return made


def results_of(run: Path) -> dict[str, str]:
    names = ["predictions.json", "scores.json", "segments.json", "model/model.safetensors", "prepared/train.parquet"]
    return {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in names}
