"""A small synthetic city, and a finished run on it with a tiny random model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cityscribe.project import Settings
from cityscribe.world.dataset import WorldSettings, write_dataset
from tests.pipeline.running import run_stages, settings_of


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pipeline") / "city"
    write_dataset(root, WorldSettings(train=2, val=2, external=0.5, seed=1, fps=5), workers=1)
    return root


@pytest.fixture(scope="session")
def finished(city: Path, tiny: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = settings_of(city, tiny("llava"), tmp_path_factory.mktemp("runs"))
    assert run_stages(settings) == ["prepare", "train", "predict", "evaluate", "report", "card"]
    return settings
