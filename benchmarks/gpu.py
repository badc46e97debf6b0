"""What this package does on one large GPU, in one command and at most ten minutes.

    sh benchmarks/gpu.sh                          # random weights of the shape of LLaVA-1.5-7B; a GPU of 80 GB or more
    sh benchmarks/gpu.sh --device cpu --tiny      # a rehearsal of every part, in a minute
    sh benchmarks/gpu.sh --parts exact,sft-1152   # some of them

Each part is a process of its own with a limit of time. One that fails, or takes too long, is told with what it had
found by then, and the rest goes on. Prints one table and writes JSON.

exact       trees against each sample alone, loss and gradient, in float32: llama, with windows, with states
sft-1152    training on ten questions a scene with 1,152 visual tokens: tokens a second, the share of the GPU's limit
            that distinct tokens reach, memory; and the same row by row
sft-8192    the same with 8,192 visual tokens
dpo         pairs of answers, on trees and row by row
answers     answers a second against `generate`, one by one and in batches, and how many are equal
int4        the decoder's weights in four bits: memory, answers a second, how far a product is off
vllm        the same answers by vLLM, where that is installed

The share of the limit (MFU) counts the operations that distinct tokens need (`cityscribe.plan.work`), against a large
matrix product on the same GPU, and against what its maker states. **It has not been run on a GPU yet.**
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

LIMITS_S = {
    "exact": 150,
    "sft-1152": 110,
    "sft-8192": 140,
    "dpo": 90,
    "answers": 100,
    "int4": 90,
    "vllm": 240,
}
"""The parts, and the most seconds that each may take. All of them have to fit into `--minutes` too."""

LIBRARIES = ("torch", "transformers", "peft", "triton", "vllm", "flash-linear-attention", "causal-conv1d")

Figures = dict[str, float | int | str]


def run_part(name: str, device: str, tiny: bool, folder: Path, limit_s: float) -> dict[str, Any]:
    """One part in a process of its own: its seconds, its figures, and what went wrong."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--part", name, "--device", device, "--folder", str(folder)]
    began = time.perf_counter()
    problem = ""
    with (folder / "errors.txt").open("w+b") as errors:
        started = subprocess.Popen(
            [*command, *(["--tiny"] if tiny else [])],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,  # so that what it starts itself ends with it
        )
        try:
            if started.wait(limit_s):
                errors.seek(0)
                problem = last_line(errors.read().decode(errors="replace")) or f"ended with {started.returncode}"
        except subprocess.TimeoutExpired:
            problem = f"stopped after {limit_s:.0f} s"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            started.wait()
    found: dict[str, Any] = {"seconds": round(time.perf_counter() - began, 1), "figures": read_figures(folder)}
    return {**found, "problem": problem} if problem else found


def read_figures(folder: Path) -> Figures:
    """What a part has found so far."""
    file = folder / "figures.jsonl"
    found: Figures = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        found |= json.loads(line)
    return found


def last_line(text: str) -> str:
    """The last line of what a process complained of, which names the exception."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else ""


def measure(name: str, device: str, tiny: bool, folder: Path) -> None:
    """Do one part in this process; each figure is written as soon as it is found."""
    if name not in LIMITS_S:
        raise SystemExit(f"part {name}: expected one of {', '.join(LIMITS_S)}")
    from benchmarks.gpu_parts import PARTS, Place

    def note(**figures: float | int | str) -> None:
        with (folder / "figures.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")

    PARTS[name](Place(device, tiny, folder, note))


def machine(device: str) -> dict[str, str]:
    """What it runs on, asked without starting CUDA in this process."""
    name = platform.machine()
    if device == "cuda":
        asked = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        try:
            name = subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout.splitlines()[0]
        except (OSError, subprocess.TimeoutExpired, IndexError):
            name = "a GPU that nvidia-smi does not name"
    found = {"device": name, "python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def table(parts: dict[str, dict[str, Any]]) -> str:
    """All figures, a line each."""
    lines = [f"{'part':10} {'what':48} {'':>12}"]
    for name, part in parts.items():
        for what, value in part["figures"].items():
            shown = f"{value:>12,.4g}" if isinstance(value, float) else f"{value!s:>12}"
            lines.append(f"{name:10} {what:48} {shown}")
        if "problem" in part:
            lines.append(f"{name:10} {'not to the end: ' + part['problem']}")
        lines.append(f"{name:10} {'seconds in all':48} {part['seconds']:>12,.4g}")
    return "\n".join(lines)


def main(
    device: Annotated[str, typer.Option(help="cuda or cpu")] = "cuda",
    tiny: Annotated[bool, typer.Option("--tiny", help="tiny sizes, to rehearse")] = False,
    output: Annotated[Path, typer.Option(help="JSON file for the figures")] = Path("build/gpu.json"),
    parts: Annotated[str, typer.Option(help="which of them, in this order")] = ",".join(LIMITS_S),
    minutes: Annotated[float, typer.Option(help="in all")] = 9.5,
    part: Annotated[str, typer.Option(hidden=True)] = "",
    folder: Annotated[Path, typer.Option(hidden=True)] = Path(),
) -> None:
    """Measure each part, print a table, write JSON."""
    if part:
        measure(part, device, tiny, folder)
        return
    measure_all(parts.split(","), device, tiny, output, minutes * 60)


Run = Callable[[str, str, bool, Path, float], dict[str, Any]]


def measure_all(
    names: Sequence[str], device: str, tiny: bool, output: Path, seconds: float, run: Run = run_part
) -> None:
    """Each part in turn; the file is written after each, so that nothing is lost."""
    ends = time.monotonic() + seconds
    found: dict[str, dict[str, Any]] = {}
    where = machine(device)
    output.parent.mkdir(parents=True, exist_ok=True)
    for name in names:
        left = ends - time.monotonic()
        print(f"{name} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            if left > 0:
                found[name] = run(name, device, tiny, Path(folder), min(left, LIMITS_S.get(name, left)))
            else:
                found[name] = {"seconds": 0.0, "figures": {}, "problem": "no time was left for it"}
        output.write_text(json.dumps({"tiny": tiny, "machine": where, "parts": found}, indent=1), encoding="utf-8")
    print(", ".join(f"{name} {value}" for name, value in where.items()) + (", tiny sizes" if tiny else ""))
    print(table(found))


if __name__ == "__main__":
    typer.run(main)
