"""Several ways of one work, each in a process of its own; they take turns, so that a busy machine slows them all.

A benchmark calls `take_turns` with the name of its module. Each turn runs `python -m benchmarks.NAME --way WAY --folder
FOLDER ...`, which measures one way and writes `FOLDER/result.json`.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from cityscribe.files import read_json

WAYS = ("tree", "rows", "trl")
WARM_UP = 1  # updates that are not counted
Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}


def use_threads(threads: int) -> int:
    """Lets torch use so many threads of the CPU, one a core for 0; says how many."""
    threads = threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    return threads


def precision_of(device: str, precision: str) -> str:
    """What was asked for, or else what the device is fast in."""
    return precision or ("bf16" if device == "cuda" else "fp32")


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


def where_it_ran(device: str, precision: str, ways: Iterable[str] = ()) -> str:
    """The machine, the threads that torch has, the precision, and the versions of what was compared."""
    processor = f"{platform.machine()} with {torch.backends.cpu.get_cpu_capability()}"
    cuda = device == "cuda"
    where = torch.cuda.get_device_name() if cuda else f"{processor}, {torch.get_num_threads()} threads"
    names = ("torch", "transformers", *(("trl",) if "trl" in ways else ()))
    return f"{where}, {precision}, {' '.join(f'{name} {version(name)}' for name in names)}"
