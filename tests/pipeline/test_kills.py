"""A run that is killed after any single operation on files ends as if it had never been killed.

What a kill leaves is what lies on the disk at that moment: a layer below the run copies its folder after operations,
and from each copy the run goes on. By default a few operations, evenly spread over the run, are looked at; with
CITYSCRIBE_ALL_KILLS=1 all of them, which takes about an hour.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cityscribe import pipeline
from cityscribe.files import REMOVED
from cityscribe.project import Settings, resolve
from tests.pipeline.running import run_stages, settings_of

ALL = bool(os.environ.get("CITYSCRIBE_ALL_KILLS"))
MOST, LOOKED_AT = (10**9, 10**9) if ALL else (10, 6)
OPERATIONS = ("replace", "rename", "unlink", "remove", "mkdir", "rmdir", "link", "truncate", "fsync")
RESULTS = {
    "prepare": ["prepared/train.parquet", "prepared/val.parquet", "prepared/skipped.jsonl"],
    "train": ["model/model.safetensors"],
    "predict": ["predictions.json", "predictions.json.notes.json"],
    "evaluate": ["scores.json", "segments.json", "boxes.json", "baselines/majority/scores.json"],
    "report": [],
    "card": ["model/README.md", "model/bom.json"],
}


@dataclass
class Snapshots:
    """Copies of a run folder after every `stride`-th operation; the stride doubles when there are too many."""

    folder: Path
    home: Path
    stage: str = ""
    count: int = 0
    stride: int = 1
    kept: list[tuple[int, str, str]] = field(default_factory=list)  # number, stage, operation
    busy: bool = False

    def after(self, operation: str) -> None:
        if self.busy or not self.stage:
            return
        self.busy = True
        self.count += 1
        if self.count % self.stride == 0:
            shutil.copytree(self.folder, self.home / str(self.count) / self.folder.name)
            self.kept.append((self.count, self.stage, operation))
            if len(self.kept) > 2 * MOST:
                self.stride *= 2
                for number, *_ in [one for one in self.kept if one[0] % self.stride]:
                    shutil.rmtree(self.home / str(number))
                self.kept = [one for one in self.kept if one[0] % self.stride == 0]
        self.busy = False


@contextmanager
def copied_after_operations(snapshots: Snapshots, patch: pytest.MonkeyPatch) -> Iterator[None]:
    def counted(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **options: Any) -> Any:
            result = work(*given, **options)
            snapshots.after(f"{name} {given[0]}")
            return result

        return call

    def opened(file: Any, mode: str = "r", *given: Any, **options: Any) -> Any:
        result = plain_open(file, mode, *given, **options)
        if set(mode) & set("wax+"):
            snapshots.after(f"open {file}")
        return result

    plain_open = io.open
    with patch.context() as inner:
        for name in OPERATIONS:
            inner.setattr(os, name, counted(name, getattr(os, name)))
        inner.setattr(builtins, "open", opened)
        inner.setattr(io, "open", opened)
        yield


def test_killed_after_any_operation_on_files_it_ends_as_if_never_killed(
    city: Path, tiny: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(city, tiny("llava"), tmp_path, train={"epochs": 1}, report={"samples": 1})
    snapshots = Snapshots(settings.run_dir, tmp_path / "killed")

    @contextmanager
    def watch(name: str) -> Iterator[Callable[..., None]]:
        snapshots.stage = name
        yield lambda *_: None

    with copied_after_operations(snapshots, monkeypatch):
        pipeline.run(settings, watch, lambda _: None)
    assert {stage for _, stage, _ in snapshots.kept} >= set(RESULTS) - {"card"}  # which is a handful of operations
    assert snapshots.count > 100
    for number, stage, operation in snapshots.kept[-1 :: -max(1, len(snapshots.kept) // LOOKED_AT)]:
        _goes_on(settings, tmp_path / "killed" / str(number), stage, f"{number}: {operation}")


def _goes_on(settings: Settings, runs: Path, stage: str, operation: str) -> None:
    """The stage that was under way when the copy was made, and those before it, are made from what the copy holds."""
    again = resolve({**settings.model_dump(mode="json"), "runs": str(runs)})
    stages = list(RESULTS)[: list(RESULTS).index(stage) + 1]
    made = run_stages(again, *stages)
    assert set(made) <= {stage}, operation  # what was done before is not done again
    for name in (name for before in stages for name in RESULTS[before]):
        assert (again.run_dir / name).read_bytes() == (settings.run_dir / name).read_bytes(), f"{operation}: {name}"
    if stage == "report":
        assert (again.run_dir / "report" / "index.html").is_file(), operation
    left = [path for end in (".partial", REMOVED, ".begun.json") for path in again.run_dir.rglob(f"*{end}")]
    assert left == [], operation
    shutil.rmtree(runs)


@pytest.mark.parametrize("damage", ["optimizer.safetensors", "trainer_state.json", "model.safetensors"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path, damage: str) -> None:
    import torch
    from safetensors.torch import save_file

    from cityscribe.files import write_json
    from cityscribe.train.checkpoints import STATE, TENSORS, VALUES, latest_checkpoint

    for step in (2, 4):
        checkpoint = tmp_path / f"checkpoint-{step}"
        checkpoint.mkdir()
        for name in TENSORS:
            save_file({"a": torch.zeros(9)}, checkpoint / name)
        for name in (*VALUES, STATE):
            write_json(checkpoint / name, {})
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-4"
    torn = tmp_path / "checkpoint-4" / damage
    torn.write_bytes(torn.read_bytes()[:-2])
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-2"
    (tmp_path / "checkpoint-2" / damage).unlink()
    assert latest_checkpoint(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_killed_while_it_takes_the_results_of_another_run(finished: Settings, tmp_path: Path) -> None:
    """As the runs of an ablation take each other's: after any operation, spread over all of them."""
    taken = resolve({**finished.model_dump(mode="json"), "runs": str(tmp_path / "whole")})
    counts = [0]
    _take(taken, finished, lambda: counts.append(0))
    for last in range(0, len(counts) - 1, max(1, len(counts) // LOOKED_AT)):
        settings = resolve({**finished.model_dump(mode="json"), "runs": str(tmp_path / str(last))})
        pid = os.fork()
        if pid == 0:
            left = iter(range(last))
            with contextlib.suppress(BaseException):
                _take(settings, finished, lambda left=left: next(left, None) is None and os.kill(os.getpid(), 9))
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9
        _take(settings, finished, lambda: None)
        assert _files(settings.run_dir) == _files(taken.run_dir), last


def _take(settings: Settings, other: Settings, after: Callable[[], Any]) -> None:
    """Bring a run up to date from another; `after` is called after each operation on files."""

    def counted(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **options: Any) -> Any:
            result = work(*given, **options)
            after()
            return result

        return call

    @contextmanager
    def watch(name: str) -> Iterator[Callable[..., None]]:
        raise AssertionError(f"{name} is not taken")
        yield

    with pytest.MonkeyPatch.context() as patch:
        for name in OPERATIONS:
            patch.setattr(os, name, counted(getattr(os, name)))
        pipeline.run(settings, watch, lambda _: None, ("prepare", "train"), [other.run_dir])


def _files(run: Path) -> dict[str, bytes]:
    """The results, and what should not be there; not the stamps, which hold times."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and path.parent.name != "state" and path.name != "project.yaml"
    }
