"""Several processes train the model that one process would train; under FSDP2 each holds its share of it.

The processes are real ones, on the CPU over gloo. They do all their jobs in one launch, since starting takes longest.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cityscribe.records import write_samples
from cityscribe.train.trainer import read_curve
from tests.preloaded import preloaded_python
from tests.train.conftest import City
from tests.train.training_child import do_all

# Three groups, two a step: in the second step of an epoch one of two processes has nothing of its own to compute.
SETTINGS = {
    "epochs": 2,
    "lr": 1e-3,
    "warmup": 0,
    "batch_groups": 2,
    "precision": "fp32",
    "save_steps": 1,
    "keep_checkpoints": 9,
}
FULL = {"method": "full"}
LORA = {"method": "lora", "lora": {"rank": 2, "dropout": 0.1}}


@dataclass(frozen=True)
class Jobs:
    """What came of the jobs, by name."""

    folder: Path

    def result(self, name: str, rank: int = 0) -> dict[str, Any]:
        return json.loads((self.folder / f"{name}-{rank}.json").read_text(encoding="utf-8"))

    def weights(self, name: str, rank: int = 0) -> dict[str, Tensor]:
        return load_file(self.folder / name / f"weights-{rank}.safetensors")

    def losses(self, name: str) -> list[float]:
        return [line["loss"] for line in read_curve(self.folder / name / "curve.jsonl")]


@pytest.fixture(scope="module")
def jobs(tiny: Callable[[str], Path], city: City, tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    folder = tmp_path_factory.mktemp("processes")
    samples = city.root / "train.parquet"
    write_samples(samples, city.samples)

    def job(name: str, resumes: str = "", broken: bool = False, method: Any = FULL, **settings: Any) -> dict[str, Any]:
        return {
            "base": str(tiny("llava")),
            "samples": str(samples),
            "out": str(folder / name),
            "resumes": str(folder / resumes) if resumes else "",
            "broken": broken,
            "method": method,
            "settings": {**SETTINGS, **settings},
        }

    file = folder / "jobs.json"
    fsdp2 = {"distributed": "fsdp2"}
    shared = [
        job("ddp"),
        job("fsdp2", **fsdp2),
        job("fsdp2-resumed", resumes="fsdp2", **fsdp2),
        job("ddp-rows", budget_tokens=150, max_steps=2),
        job("fsdp2-rows", budget_tokens=150, max_steps=2, **fsdp2),
        job("ddp-lora", method=LORA, epochs=1),
        job("ddp-lora-resumed", resumes="ddp-lora", method=LORA, epochs=1),
        job("broken", broken=True, share_prefix=False),
    ]
    file.write_text(json.dumps(shared), encoding="utf-8")
    torchrun = [preloaded_python(), "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    child = ["--no-python", preloaded_python(), "-m", "tests.train.training_child", str(file)]
    done = subprocess.run([*torchrun, *child], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    do_all([job("one"), job("one-resumed", resumes="fsdp2")])
    return Jobs(folder)


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name, value in expected.items():
        assert (found[name] - value).norm() <= 1e-3 * value.norm() + 1e-5, name


@pytest.mark.parametrize("name", ["ddp", "fsdp2"])
def test_two_processes_train_what_one_would(name: str, jobs: Jobs) -> None:
    assert jobs.losses(name) == pytest.approx(jobs.losses("one"), rel=1e-6)
    assert_close(jobs.weights(name), jobs.weights("one"))
    for part, value in jobs.weights(name, 0).items():
        assert torch.equal(value, jobs.weights(name, 1)[part]), part


def test_under_fsdp2_each_process_holds_half_of_the_parameters(jobs: Jobs) -> None:
    first, second = jobs.result("fsdp2", 0), jobs.result("fsdp2", 1)
    assert first["total"] == second["total"] == first["held"] + second["held"]
    assert first["held"] == pytest.approx(first["total"] / 2, rel=0.01)


@pytest.mark.parametrize("name", ["ddp-rows", "fsdp2-rows"])
def test_processes_with_different_numbers_of_micro_batches_wait_for_each_other(name: str, jobs: Jobs) -> None:
    assert jobs.losses(name) == pytest.approx(jobs.losses("one")[:2], rel=1e-6)


@pytest.mark.parametrize("name", ["fsdp2", "ddp-lora"])
def test_two_processes_go_on_as_if_nothing_had_happened(name: str, jobs: Jobs) -> None:
    """With dropout too: each process has random numbers of its own."""
    assert jobs.result(f"{name}-resumed")["from"] == 1
    found, expected = jobs.weights(f"{name}-resumed"), jobs.weights(name)
    for part, value in expected.items():
        assert torch.equal(found[part], value), part


def test_one_process_goes_on_from_what_two_have_shared(jobs: Jobs) -> None:
    assert jobs.result("one-resumed")["from"] == 1
    assert_close(jobs.weights("one-resumed"), jobs.weights("one"))


def test_each_process_stores_its_own_half(jobs: Jobs) -> None:
    checkpoint = jobs.folder / "fsdp2" / "checkpoints" / "checkpoint-1"
    sizes = [path.stat().st_size for path in sorted((checkpoint / "shards").glob("*.safetensors"))]
    total = jobs.result("fsdp2")["total"]
    assert len(sizes) == 2
    for size in sizes:  # weights and two moments of float32, and names
        assert 3 * 4 * total / 2 <= size * 1.02
        assert size < 0.6 * sum(sizes)
    whole = sum((checkpoint / name).stat().st_size for name in ("model.safetensors", "optimizer.safetensors"))
    assert whole < 0.1 * sum(sizes)
    assert not (jobs.folder / "ddp" / "checkpoints" / "checkpoint-1" / "shards").exists()


def test_a_loss_that_is_not_finite_names_the_samples_of_all_processes(jobs: Jobs) -> None:
    error = jobs.result("broken", 0)["error"]
    assert "the loss of step 1 is not finite" in error
    assert sum(f"event_{group}/" in error for group in range(3)) == 2
    assert jobs.result("broken", 1)["error"] == error
