"""Whether the memory of `ask` grows with the length of a video, and its time with more than that.

    python -m benchmarks.ask_memory                     # videos of 1, 3 and 10 hours
    python -m benchmarks.ask_memory --hours 1 --hours 10

The videos are synthetic, 64 x 48 pixels at one frame a second; the model is a tiny LLaMA-VID of random weights with
65,536 positions: ten hours, 36,000 frames of two tokens, are seen at a rate a little below one. Each question is
asked in a process of its own; peak memory is what the system says of it. The limit is 10 %.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from transformers import LlamaConfig

from benchmarks.in_turns import peak_bytes, take_turns, where_it_ran
from cityscribe.ask.question import Looking, ask
from cityscribe.media.video import write_video
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.models.tokenizer import train_tokenizer
from cityscribe.models.vlm.compose import VlmParts, compose

QUESTION = "What happens in the video?"
POSITIONS = 65_536
LIMIT = 1.1


def write_model(folder: Path) -> None:
    tokenizer = train_tokenizer([QUESTION], 320)
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=POSITIONS,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    parts = VlmParts(
        towers=({"kind": "eva", "config": {**small, "image_size": 32, "patch_size": 8, "initializer_range": 0.2}},),
        decoder=text,
        tiling={"kind": "whole"},
        connector={"kind": "llama-vid", "text_decoder": {"kind": "qformer", "queries": 4, "config": small}},
    )
    save_model(*compose(parts, tokenizer), folder)


def frames(hours: float) -> Iterator[np.ndarray]:
    """A square that wanders over a grey ground."""
    for second in range(round(hours * 3600)):
        picture = np.full((48, 64, 3), 90, dtype=np.uint8)
        column = second * 4 % 56
        picture[16:24, column : column + 8] = (250, second % 250, 30)
        yield picture


def measure(model: Path, video: Path) -> dict[str, Any]:
    """Ask once, in this process: what it took."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    found = ask(
        load_model(model, dtype=torch.float32), load_processor(model), video, QUESTION, Looking(max_new_tokens=8)
    )
    seconds = time.perf_counter() - began
    asked = {"frames": found.frames, "tokens": found.tokens, "fps": found.fps}
    return {"seconds": [seconds], "peak_bytes": peak_bytes("cpu"), **asked}


def main(
    hours: Annotated[list[float] | None, typer.Option(help="lengths of the videos")] = None,
    model: Annotated[Path, typer.Option(hidden=True)] = Path(),
    way: Annotated[str, typer.Option(hidden=True)] = "",
    folder: Annotated[Path, typer.Option(hidden=True)] = Path(),
) -> None:
    """Print what a question takes for each length; `way` is the video that one process is asked about."""
    if way:
        (folder / "result.json").write_text(json.dumps(measure(model, Path(way))))
        return
    torch.set_num_threads(1)
    peaks = []
    with tempfile.TemporaryDirectory() as work:
        model = Path(work) / "model"
        write_model(model)
        for length in hours or [1.0, 3.0, 10.0]:
            video = Path(work) / f"{length}.mp4"
            write_video(video, frames(length), 1)
            (row,) = take_turns("benchmarks.ask_memory", [str(video)], 1, {"model": model}).values()
            peaks.append(row["peak_bytes"])
            print(
                f"{length:5.1f} h: {row['frames']:>6,} frames at {row['fps']:.3f} fps, {row['tokens']:>6,} tokens, "
                f"{row['seconds'][0]:6.1f} s, {row['peak_bytes'] / 2**20:.0f} MiB"
            )
    print(f"memory of the longest over the shortest: {peaks[-1] / peaks[0]:.3f} (limit {LIMIT})")
    print(where_it_ran("cpu", "fp32"))


if __name__ == "__main__":
    typer.run(main)
