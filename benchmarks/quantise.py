"""How much memory and time the local engine needs with 16, 8 and 4 bits of the decoder's weights.

    OMP_NUM_THREADS=1 python -m benchmarks.quantise                 # a LLaVA whose decoder has 130 M parameters
    OMP_NUM_THREADS=1 python -m benchmarks.quantise --model FOLDER  # any checkpoint

Ten questions a scene, two images of 576 tokens each, answered greedily by the local engine. Each way is a process of
its own, in processor time, and they take turns; the fastest round counts. Weights are stored in bf16. `fp32` computes
them in float32, the fastest way without packing on a processor that has no bf16; `bf16` computes in bf16; `int8` and
`int4` keep the decoder's weights packed and compute with them by torch's kernels, everything else in what `precision:
auto` takes here.

The weights are random unless a checkpoint is named: what they say is noise, which changes no time. What rounding costs
in quality, `benchmarks.perplexity` measures on a trained model.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer

from benchmarks.in_turns import peak_bytes, take_turns, where_it_ran
from benchmarks.predict import LONG, SHORT, make_model, make_questions
from cityscribe.engine.local import load
from cityscribe.engine.members import Setup
from cityscribe.models.load import save_model
from cityscribe.models.quantise.write import bytes_of
from cityscribe.quantise import quantise

WAYS = ("fp32", "bf16", "int8", "int4")
TEXT = {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 10, "num_attention_heads": 16}


def save_base(folder: Path) -> None:
    """A LLaVA of random weights in bf16."""
    model, processor = make_model("cpu", text=TEXT)
    save_model(model.to(torch.bfloat16), processor, folder)  # type: ignore[arg-type]


def measure(way: str, base: Path, scenes: int, tokens: int, folder: Path) -> dict[str, Any]:
    """Answers of one way."""
    precision: dict[str, Literal["fp32", "bf16", "auto"]] = {"fp32": "fp32", "bf16": "bf16"}
    checkpoint = base if way in precision else base.with_name(f"{base.name}-{way}")
    before = resident_bytes()
    engine = load(checkpoint, Setup(precision=precision.get(way, "auto"), drafts=False))
    loaded = resident_bytes()
    questions = make_questions(folder, scenes, tokens, tokens)
    engine.answer(questions[:1])  # a warm-up, and the check of shared prefixes
    engine.forget()
    began = time.process_time()
    found = engine.answer(questions)
    return {
        "seconds": [time.process_time() - began],
        "peak_bytes": peak_bytes("cpu"),
        "weights": sum(value.nbytes for value in engine.model.parameters()),
        "loaded": loaded - before,
        "answers": len(found),
        "said": [list(answer.token_ids) for (answer,) in found],
    }


def resident_bytes() -> int:
    """The memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def agreement(first: list[list[int]], second: list[list[int]]) -> float:
    """The share of answers that begin with the same token; behind it greedy answers of noise go their own ways."""
    return sum(a[:1] == b[:1] for a, b in zip(first, second, strict=True)) / len(first)


def main(
    scenes: Annotated[int, typer.Option(help="of ten questions each")] = 1,
    tokens: Annotated[int, typer.Option(help="of each answer")] = 24,
    repeats: Annotated[int, typer.Option(help="rounds, each way in turn")] = 2,
    ways: Annotated[str, typer.Option(help="which of them")] = ",".join(WAYS),
    model: Annotated[Path | None, typer.Option(help="a checkpoint in the place of random weights")] = None,
    way: Annotated[str | None, typer.Option(hidden=True)] = None,
    folder: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Compare the ways, or measure one."""
    if way is not None and folder is not None and model is not None:
        (folder / "result.json").write_text(json.dumps(measure(way, model, scenes, tokens, folder)))
        return
    with tempfile.TemporaryDirectory() as work:
        base = Path(work) / "base"
        if model is None:
            save_base(base)
        else:
            base.symlink_to(model.resolve())
        for bits in (8, 4):
            quantise(base, base.with_name(f"base-int{bits}"), method="rtn", bits=bits)  # type: ignore[arg-type]
        stored = bytes_of(base)["all"]
        options = {"model": base, "scenes": scenes, "tokens": tokens}
        results = take_turns("benchmarks.quantise", ways.split(","), repeats, options)
    print(where_it_ran("cpu", "each way in its own"))
    print(f"{scenes} scenes of {len(LONG) + len(SHORT)} questions, answers of {tokens} tokens")
    columns = ("weights MB", "loaded MB", "peak MB", "answers/s", "of 16 bit", "first token")
    print(f"{'':6}" + "".join(f"{column:>12}" for column in columns))
    for name, result in results.items():
        rate = result["answers"] / result["seconds"][0]
        sizes = (result["weights"], result["loaded"], result["peak_bytes"])
        same = agreement(result["said"], next(iter(results.values()))["said"])
        print(
            f"{name:6}"
            + "".join(f"{size / 1e6:12.1f}" for size in sizes)
            + f"{rate:12.3f}{result['weights'] / stored:12.2f}{same:12.0%}"
        )


if __name__ == "__main__":
    typer.run(main)
