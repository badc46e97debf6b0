"""Fixtures that several rooms share."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

# Test processes run side by side, one a core: threads of their own would only wait for each other. Set before torch is
# imported, and inherited by the processes that tests start.
os.environ["OMP_NUM_THREADS"] = "1"

# A slow or busy machine is not a failure, and the verdict on a commit is no matter of luck: the examples are the same
# in every run. New ones are looked for by `make fuzz`.
hypothesis.settings.register_profile("cityscribe", deadline=None, derandomize=True)
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("cityscribe")


@pytest.fixture(scope="module", autouse=True)
def what_was_imported_is_no_garbage() -> None:
    """Each training collects garbage, and would look through all of torch and transformers for it each time."""
    gc.freeze()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's tiny checkpoint, written on first use. Tests must not write into it."""
    folders: dict[str, Path] = {}

    def checkpoint(family: str) -> Path:
        # Imported here because most tests need no model and importing transformers takes seconds.
        from tests.tiny_models import tiny_checkpoint

        if family not in folders:
            folders[family] = tiny_checkpoint(family, tmp_path_factory.mktemp("tiny") / family)
        return folders[family]

    return checkpoint
