"""Steps at the same time come to what they come to one after the other, and end with the run."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from cityscribe import pipeline
from cityscribe.files import InputError
from cityscribe.pipeline.side_by_side import make_side_by_side
from cityscribe.pipeline.step import Step, StepProgress
from cityscribe.project import Settings
from tests.pipeline.running import run_stages, settings_of


@pytest.mark.usefixtures("preloaded_children")
def test_trained_side_by_side_the_models_are_those_of_one_after_the_other(
    finished: Settings, city: Path, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    """What one after the other comes to, the finished run has."""
    under_way: list[set[str]] = [set()]

    @contextmanager
    def watch(name: str) -> Iterator[StepProgress]:
        under_way.append(under_way[-1] | {name})
        yield lambda *_: None
        under_way.append(under_way[-1] - {name})

    settings = settings_of(city, tiny("llava"), tmp_path, predict={"baselines": ["blind"]})
    settings = settings.model_copy(update={"threads": 1, "at_once": 2})
    pipeline.run(settings, watch, [].append, ("prepare", "train"))
    assert max(map(len, under_way)) == 2
    weights = "model/model.safetensors"
    assert (settings.run_dir / weights).read_bytes() == (finished.run_dir / weights).read_bytes()
    assert (settings.run_dir / "baselines" / "blind" / weights).is_file()
    assert run_stages(settings, "prepare", "train") == []


def _write(folder: Path, name: str, fault: str, made_from: str, progress: StepProgress) -> None:
    for place in (folder / other for other in ("a", "b") if name == "c"):
        assert place.read_text() == "of " + place.name
    if fault.startswith("no"):
        raise InputError(fault)
    progress(1, 1)
    if fault:
        time.sleep(600)
    (folder / name).write_text(made_from)


def steps_of(folder: Path, fault: str = "") -> list[Step]:
    """`c` reads what `a` and `b` write, and `d` cannot go to another process."""

    def here(made_from: str, progress: StepProgress) -> None:
        (folder / "d").write_text(str(multiprocessing.parent_process()))

    return [
        Step("a", "", partial(_write, folder, "a", ""), reads=(), apart=True),
        Step("b", "", partial(_write, folder, "b", fault), reads=(), apart=True),
        Step("c", "", partial(_write, folder, "c", ""), reads=(), after=("a", "b"), apart=True),
        Step("d", "", here, reads=(), apart=True),
    ]


def make(steps: list[Step], finished: list[str], told: Callable[[str], None]) -> None:
    @contextmanager
    def watch(name: str) -> Iterator[StepProgress]:
        yield lambda *_: told(name)

    make_side_by_side(
        steps,
        {step.name: f"of {step.name}" for step in steps},
        2,
        lambda step: True,
        lambda step: finished.append(step.name),
        watch,
    )


def test_a_step_waits_for_those_that_it_reads_and_what_cannot_travel_is_made_here(tmp_path: Path) -> None:
    finished: list[str] = []
    told: list[str] = []
    make(steps_of(tmp_path), finished, told.append)
    assert sorted(finished) == ["a", "b", "c", "d"]
    assert finished.index("c") > max(finished.index("a"), finished.index("b"))
    assert sorted(told) == ["a", "b", "c"]
    assert (tmp_path / "d").read_text() == "None"


def test_a_mistake_in_one_of_them_is_that_of_the_run(tmp_path: Path) -> None:
    finished: list[str] = []
    with pytest.raises(InputError, match="no such thing"):
        make(steps_of(tmp_path, "no such thing"), finished, [].append)
    assert "b" not in finished
    assert "c" not in finished
    assert multiprocessing.active_children() == []


def test_stopped_they_end_and_what_was_made_stays(tmp_path: Path) -> None:
    finished: list[str] = []

    def told(name: str) -> None:
        if name == "b":
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        make(steps_of(tmp_path, "slow"), finished, told)
    assert multiprocessing.active_children() == []
    assert time.monotonic() - began < 300
    assert set(finished) <= {"a"}
    assert not (tmp_path / "b").exists()
