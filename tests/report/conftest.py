"""Run folders to read (`finished`) and to break (`run_dir`, a copy)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.report.run_folder import build_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with both baselines. Tests must not write into it."""
    run_dir = tmp_path_factory.mktemp("report") / "demo"
    build_run(run_dir)
    return run_dir


@pytest.fixture
def run_dir(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "demo")
