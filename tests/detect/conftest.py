"""Tiny detectors, written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's tiny detector. Tests must not write into it."""
    folders: dict[str, Path] = {}

    def checkpoint(family: str) -> Path:
        from tests.detect.tiny_detectors import write_tiny

        if family not in folders:
            folders[family] = write_tiny(family, tmp_path_factory.mktemp("detector") / family)
        return folders[family]

    return checkpoint
