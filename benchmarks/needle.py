"""A needle in a video: one event of four seconds, asked for what happened and when, by a LLaMA-VID from scratch.

    python -m benchmarks.needle                                  # interleaved, one content token, with a context token
    python -m benchmarks.needle --order content-first --pooling grid:2
    python -m benchmarks.needle --no-context

Clips are of noise, 32 x 32 pixels at one frame a second. In each a disc and a bar appear for four seconds, at times and
in colours of their own; two questions ask for the colour of one of them. The model (some 400,000 parameters, everything
trains, random weights at first) learns on clips of `--frames`; then it is asked about new clips of that length and of
others, streamed by `ask`. `when` is how far the middle of the interval that it names is from that of the event, on
average, in seconds; a guess in the middle of the video is beside it. Chance is 25 %. The majority of four colours drawn
alike is chance as well.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image
from transformers import LlamaConfig

from benchmarks.in_turns import where_it_ran
from cityscribe.ask.question import Looking, ask
from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Request
from cityscribe.media.video import write_video
from cityscribe.models.settings import ModelSettings
from cityscribe.models.tokenizer import train_tokenizer
from cityscribe.models.tuning.prepare import prepare_tuning
from cityscribe.models.vlm.compose import VlmParts, compose
from cityscribe.records import Sample, image_block, message, text_block
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import train

SIDE, LASTS = 32, 4
COLOURS = {"red": (230, 40, 40), "green": (40, 200, 60), "blue": (50, 70, 240), "yellow": (240, 220, 50)}
SHAPES = ("disc", "bar")


@dataclass(frozen=True)
class NeedleClip:
    """What is seen in a clip: of each shape its colour and the second at which it appears."""

    seed: int
    frames: int
    events: dict[str, tuple[str, int]]

    @classmethod
    def drawn(cls, seed: int, frames: int) -> NeedleClip:
        rng = np.random.default_rng([seed, 5])
        first = int(rng.integers(0, frames // 2 - LASTS + 1))
        second = int(rng.integers(frames // 2, frames - LASTS + 1))
        starts = rng.permutation([first, second]).tolist()
        colours = rng.choice(list(COLOURS), 2).tolist()
        return cls(seed, frames, dict(zip(SHAPES, zip(colours, starts, strict=True), strict=True)))

    def pictures(self) -> Iterator[np.ndarray]:
        rng = np.random.default_rng([self.seed, 6])
        rows, columns = np.mgrid[:SIDE, :SIDE]
        places = {shape: rng.integers(9, SIDE - 9, 2) for shape in SHAPES}
        for second in range(self.frames):
            picture = rng.integers(80, 120, (SIDE, SIDE, 3)).astype(np.uint8)
            for shape, (colour, start) in self.events.items():
                if start <= second < start + LASTS:
                    row, column = places[shape]
                    if shape == "disc":
                        inside = (rows - row) ** 2 + (columns - column) ** 2 <= 49
                    else:
                        inside = (abs(columns - column) <= 2) & (abs(rows - row) <= 9)
                    picture[inside] = COLOURS[colour]
            yield picture


def question(shape: str) -> str:
    return f"What colour is the {shape}?"


def make_model(order: str, pooling: str, context: bool, seed: int) -> Any:
    tokenizer = train_tokenizer([*map(question, SHAPES), *COLOURS], 300)
    small = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    silent = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    text = LlamaConfig(
        **{**small, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4},
        vocab_size=len(tokenizer),
        max_position_embeddings=131_072,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    connector = {"kind": "llama-vid", "pooling": pooling, "context": context}
    if context:
        connector["text_decoder"] = {"kind": "qformer", "queries": 4, "config": {**small, **silent}}
    parts = VlmParts(
        towers=({"kind": "clip", "config": {**small, "image_size": SIDE, "patch_size": 8}, "layer": -1},),
        decoder=text,
        tiling={"kind": "whole"},
        connector=connector,
        order=order,
    )
    return compose(parts, tokenizer, seed=seed)


def samples(folder: Path, clips: int, frames: int, seed: int) -> list[Sample]:
    """Two questions a clip, with its frames as files."""
    made = []
    for number in range(clips):
        clip = NeedleClip.drawn(seed * 100_000 + number, frames)
        names = tuple(f"{number}-{second}.png" for second in range(frames))
        for name, picture in zip(names, clip.pictures(), strict=True):
            Image.fromarray(picture).save(folder / name)
        for shape, (colour, _) in clip.events.items():
            asked = message("user", *[image_block()] * frames, text_block(question(shape)))
            made.append(Sample((asked, message("assistant", text_block(colour))), names, f"clip-{number}"))
    return made


def at_length(model: Any, processor: Any, frames: int, clips: int, folder: Path) -> dict[str, float]:
    """What `ask` says of clips of a length: share of right colours, seconds between where it looked and the event."""
    right, apart, middle = [], [], []
    for number in range(clips):
        clip = NeedleClip.drawn(50_000_000 + number, frames)
        video = folder / "needle.mp4"
        write_video(video, clip.pictures(), 1, crf=4)
        for shape, (colour, start) in clip.events.items():
            found = ask(model, processor, video, question(shape), Looking(max_new_tokens=6))
            right.append(found.text == colour)
            when = (found.interval.start_s + found.interval.end_s) / 2
            apart.append(abs(when - start - LASTS / 2))
            middle.append(abs(frames / 2 - start - LASTS / 2))
    return {"right": float(np.mean(right)), "when": float(np.mean(apart)), "middle": float(np.mean(middle))}


def main(
    order: str = "interleaved",
    pooling: str = "mean",
    context: bool = True,
    frames: Annotated[int, typer.Option(help="seconds of a clip in training")] = 16,
    clips: int = 600,
    epochs: float = 4.0,
    lr: float = 1e-3,
    lengths: Annotated[
        list[int] | None, typer.Option("--length", help="seconds of the videos that are asked about")
    ] = None,
    asked: Annotated[int, typer.Option(help="videos a length")] = 20,
    seed: int = 0,
) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, processor = make_model(order, pooling, context, seed)
        taught = samples(folder, clips, frames, seed)
        prepare_tuning(model, ModelSettings(method="full"))
        settings = TrainSettings(
            epochs=epochs, lr=lr, batch_groups=16, precision="fp32", budget_tokens=4096, warmup=0.05, save_steps=10**6
        )
        began = time.perf_counter()
        report = train(taught, folder, model, processor, settings, folder / "training")
        seconds = time.perf_counter() - began
        print(
            f"{order}, pooling {pooling}, {'with' if context else 'without'} a context token, seed {seed}: "
            f"{model.num_parameters():,} parameters, {seconds:.0f} s for {clips * epochs * 2:.0f} questions, "
            f"{report.effective_tokens / report.distinct_tokens:.2f} times the distinct tokens",
            flush=True,
        )
        model.eval()
        tests = samples_to_ask(frames, 100)
        said = LocalEngine(model, processor, batch_size=16).answer([request for request, _ in tests])
        share = np.mean([answer.text == colour for (answer,), (_, colour) in zip(said, tests, strict=True)])
        print(f"{frames:>7,} s, 200 questions at once: {share:.1%}", flush=True)
        for length in lengths or [frames, 60, 600]:
            found = at_length(model, processor, length, asked, folder)
            print(
                f"{length:>7,} s, {2 * asked} questions: {found['right']:.1%} right, {found['when']:.1f} s apart "
                f"(the middle of the video: {found['middle']:.1f} s)",
                flush=True,
            )
            print(
                json.dumps({"order": order, "pooling": pooling, "context": context, "seed": seed, "s": length} | found)
            )
    print(where_it_ran("cpu", "fp32"))


def samples_to_ask(frames: int, clips: int) -> list[tuple[Request, str]]:
    made = []
    for number in range(clips):
        clip = NeedleClip.drawn(70_000_000 + number, frames)
        shown = tuple(Image.fromarray(picture) for picture in clip.pictures())
        for shape, (colour, _) in clip.events.items():
            turn = message("user", *[image_block()] * frames, text_block(question(shape)))
            made.append((Request((turn,), shown, max_tokens=6), colour))
    return made


if __name__ == "__main__":
    typer.run(main)
