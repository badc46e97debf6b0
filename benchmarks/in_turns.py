"""Several ways of one training, each in a process of its own; they take turns, so that a busy machine slows them all.

A benchmark calls `take_turns` with the name of its module. Each turn runs `python -m benchmarks.NAME --way WAY --folder
FOLDER ...`, which measures one way and writes `FOLDER/result.json`.
"""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from cityscribe.files import read_json

WAYS = ("tree", "rows", "trl")
WARM_UP = 1  # updates that are not counted


def update_seconds(clock: Sequence[float]) -> list[float]:
    """The seconds of each update that is counted, from the clock after each update."""
    return [after - before for before, after in pairwise(clock[WARM_UP - 1 :])]


def peak_bytes(device: str) -> int:
    """The most memory that this process had at once: of the GPU, or of the machine."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def take_turns(
    module: str, ways: Iterable[str], repeats: int, options: Mapping[str, Any], timed: Sequence[str] = ("seconds",)
) -> dict[str, dict[str, Any]]:
    """The results of each way, from `repeats` runs: of `timed` all values from the fastest up, of `peak_bytes` the
    lowest, of all else those of the first run."""
    results: dict[str, dict[str, Any]] = {}
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    for _ in range(repeats):
        for way in ways:
            with tempfile.TemporaryDirectory() as work:
                command = [sys.executable, "-m", module, "--way", way, "--folder", work, *given]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(f"{way} failed:\n{done.stderr[-3000:]}")
                result = dict(read_json(Path(work) / "result.json"))
            best = results.setdefault(way, result)
            for key in timed:
                best[key] = sorted([*best[key], *(result[key] if best is not result else [])])
            best["peak_bytes"] = min(best["peak_bytes"], result["peak_bytes"])
    return results


def where_it_ran(device: str, precision: str, threads: int, ways: Iterable[str]) -> str:
    """The machine, the precision, and the versions of what was compared."""
    where = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()}, {threads} threads"
    names = ("torch", "transformers", *(("trl",) if "trl" in ways else ()))
    return f"{where}, {precision}, {' '.join(f'{name} {version(name)}' for name in names)}"
