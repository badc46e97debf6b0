"""Fixtures that several rooms share."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.preloaded import preloaded_python
from tests.preloading import server

# Test processes run side by side, one a core: threads of their own would only wait for each other. Set before torch is
# imported, and inherited by the processes that tests start.
os.environ["OMP_NUM_THREADS"] = "1"

# Each module is compiled once and not in every process again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A slow or busy machine is not a failure, and the verdict on a commit is no matter of luck: the examples are the same
# in every run. New ones are looked for by `make fuzz`.
hypothesis.settings.register_profile("cityscribe", deadline=None, derandomize=True)
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("cityscribe")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and not os.environ.get("CITYSCRIBE_FRESH"):
        stack = contextlib.ExitStack()
        stack.enter_context(server())
        config.add_cleanup(stack.close)


TOGETHER = ("tests/pipeline/", "tests/serve/")
"""Folders whose tests share what takes long to make: a finished run, a service."""

LONG = (*TOGETHER, "tests/first_hour/test_init_then_run.py", "tests/engine/test_local.py", "tests/train/")
"""What begins first, so that at the end nobody waits for it."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the tests (`--dist loadgroup`), those of a file stay together, for what a module
    makes is made once, and the longest come first."""
    if not config.getoption("loadgroup", False):
        return
    for item in items:
        file = item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(next((folder for folder in TOGETHER if file.startswith(folder)), file)))
    items.sort(key=lambda item: next((n for n, place in enumerate(LONG) if item.nodeid.startswith(place)), len(LONG)))


def pytest_collection_finish() -> None:
    if ready := sys.modules.get("cityscribe.train.ready"):
        from tests.checked_once import check_once

        check_once(ready)


@pytest.fixture(scope="module", autouse=True)
def what_was_imported_is_no_garbage() -> None:
    """Each training collects garbage, and would look through all of torch and transformers for it each time."""
    gc.freeze()


@pytest.fixture
def preloaded_children() -> Iterator[None]:
    """What `multiprocessing` starts has loaded torch already. Not for a process that limits its memory as a whole."""
    multiprocessing.set_executable(preloaded_python())
    yield
    multiprocessing.set_executable(sys.executable)


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
