"""The data set, a run of it and their libraries, read once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityscribe.browse.library import Library
from tests.browse.made import data_set, finished_run, library_of


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_set(tmp_path_factory.mktemp("browse") / "WTS")


@pytest.fixture(scope="session")
def run_dir(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory.mktemp("browse-run"), data)


@pytest.fixture(scope="session")
def of_data(data: Path) -> Library:
    return library_of(data)


@pytest.fixture(scope="session")
def of_run(run_dir: Path) -> Library:
    return library_of(run_dir)
