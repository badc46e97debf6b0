"""One service for all tests that need one, since it takes seconds to start; a new one where a test has stopped it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.serve.running import Running, running

Start = Callable[[], Running]


@pytest.fixture(scope="session")
def start(tiny: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Gives the service that runs, or starts it."""
    with ExitStack() as stack:
        started: list[Running] = []

        def one_that_runs() -> Running:
            if not started or started[-1].process.poll() is not None:
                folder = tmp_path_factory.mktemp("service")
                started.append(stack.enter_context(running(tiny("llava"), folder)))
                started[-1].wait_ready()
            return started[-1]

        yield one_that_runs


@pytest.fixture
def service(start: Start) -> Running:
    return start()
