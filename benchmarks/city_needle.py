"""A needle in the city's video: an animal that comes by for four seconds, asked for what it is and when it was there.

    python -m recipes.tiny_video                      # the model
    python -m benchmarks.city_needle --length 60 --length 600 --length 3600

Each video is an empty street in three frames that take turns, with noise of their own, and one animal for four seconds;
at one frame a second, so that four frames of thousands show it. `cityscribe-tiny-video` learns first on such videos of
16 to 64 seconds (its third stage, as LLaMA-VID has one); then it is asked about new ones of each length, streamed as
`cityscribe ask` does. What is known of a frame is kept, and equal frames are computed once: a camera that nothing
passes is cheap here, and only the decoder sees the length. `when` is how far the middle of the interval that it names
is from that of the event, in seconds; a guess in the middle of the video stands beside it, and the most frequent animal
beside the share of right ones.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image

from benchmarks.in_turns import where_it_ran
from cityscribe.ask.interval import interval_of
from cityscribe.ask.layout import lay_out
from cityscribe.ask.stream import Stream
from cityscribe.evaluate.resampling import mean_interval
from cityscribe.media.video import write_video
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.models.settings import ModelSettings
from cityscribe.models.tuning.prepare import keep_features, prepare_tuning
from cityscribe.records import Sample, image_block, message, text_block
from cityscribe.tokens.preprocess import PreprocessOnce
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import train
from cityscribe.world.look import ANIMALS
from cityscribe.world.render import render
from cityscribe.world.rigs import HEIGHT, WIDTH
from cityscribe.world.scene import AnimalState, Scene, fixed_camera
from cityscribe.world.surroundings import sample_street

LASTS, EMPTY, BLOCK = 4, 3, 60
QUESTION = "Which animal is there?"


@dataclass(frozen=True)
class NeedleVideo:
    """A street, and the animal that comes by from a second on."""

    seed: int
    frames: int
    species: str
    start: int

    @classmethod
    def drawn(cls, seed: int, frames: int) -> NeedleVideo:
        rng = np.random.default_rng([seed, 41])
        return cls(seed, frames, str(rng.choice(list(ANIMALS))), int(rng.integers(0, frames - LASTS + 1)))

    def pictures(self) -> tuple[list[Image.Image], list[Image.Image]]:
        """The empty street, and the frames with the animal."""
        rng = np.random.default_rng([self.seed, 42])
        street = replace(sample_street(rng, bends=False), road="residential road", lanes=1, sidewalks=False)
        shape = ANIMALS[self.species]
        heading, middle = float(rng.uniform(0, math.tau)), (street.half_width + 2.6, 8.0)
        away, angle = 2.2 + 2.0 * shape.length, float(rng.uniform(-0.6, 0.6)) + math.pi
        where = (middle[0] + away * math.cos(angle), middle[1] + away * math.sin(angle))
        camera = fixed_camera(
            where, middle, mast=1.2 + 0.4 * shape.length, width=WIDTH, height=HEIGHT, focal=520
        ).of_width(320)
        empty = [Scene(street, (), (), (), ())] * EMPTY
        passing = []
        for second in range(LASTS):
            way = (second - LASTS / 2) * 0.4 * shape.length
            state = AnimalState(
                self.species,
                middle[0] + way * math.cos(heading),
                middle[1] + way * math.sin(heading),
                heading,
                "walking",
                5.0 * second,
            )
            passing.append(Scene(street, (), (), (), (state,)))
        drawn = [Image.fromarray(render(scene, camera, seed=n)) for n, scene in enumerate([*empty, *passing])]
        return drawn[:EMPTY], drawn[EMPTY:]

    def number(self, second: int) -> int:
        """Which of its pictures, the empty ones first, a second shows."""
        within = second - self.start
        return EMPTY + within if 0 <= within < LASTS else second % EMPTY


def samples(folder: Path, videos: int, seed: int) -> list[Sample]:
    made = []
    for number in range(videos):
        video = NeedleVideo.drawn(seed * 100_000 + number, (16, 32, 64)[number % 3])
        empty, passing = video.pictures()
        for place, picture in enumerate([*empty, *passing]):
            picture.save(folder / f"{number}-{place}.png")
        names = tuple(f"{number}-{video.number(second)}.png" for second in range(video.frames))
        asked = message("user", *[image_block()] * video.frames, text_block(QUESTION))
        made.append(Sample((asked, message("assistant", text_block(video.species))), names, f"video-{number}"))
    return made


def asked(model: Any, processor: Any, video: NeedleVideo) -> tuple[str, float]:
    """What the model says, and the middle of the interval that its answer rests on, in seconds."""
    empty, passing = video.pictures()
    pictures = [*empty, *passing]
    times_s = [float(second) for second in range(video.frames)]
    stream = Stream(model, processor, lay_out(processor, QUESTION, times_s, ()))
    for first in range(0, video.frames, BLOCK):
        seconds = range(first, min(first + BLOCK, video.frames))
        stream.show(list(seconds), [pictures[video.number(second)] for second in seconds])
    token_ids, weights = stream.answer(6)
    found = interval_of(weights.tolist(), times_s, float(video.frames))
    text = processor.tokenizer.decode(token_ids, skip_special_tokens=True).strip()
    return text, (found.start_s + found.end_s) / 2


def taught(base: Path, out: Path, folder: Path, videos: int, epochs: float, lr: float, seed: int) -> None:
    """The third stage, on videos of 16 to 64 seconds."""
    model, processor = load_model(base, dtype=torch.float32), load_processor(base)
    keep_features(model, folder / "features")
    prepare_tuning(model, ModelSettings(method="full", freeze=("vision_tower",)))
    settings = TrainSettings(epochs=epochs, lr=lr, batch_groups=8, precision="fp32", warmup=0.1, save_steps=10**6)
    train(samples(folder, videos, seed), folder, model, processor, settings, folder / "training")
    save_model(model, processor, out)


def write_needle(path: Path, video: NeedleVideo) -> None:
    empty, passing = video.pictures()
    pictures = [np.asarray(picture) for picture in (*empty, *passing)]
    write_video(path, (pictures[video.number(second)] for second in range(video.frames)), 1)


def main(
    base: Annotated[Path, typer.Option(help="cityscribe-tiny-video")] = Path("runs/tiny-video/stage-2/model"),
    videos: Annotated[int, typer.Option(help="to learn from; 0 asks the base")] = 240,
    epochs: float = 2.0,
    lr: float = 5e-4,
    lengths: Annotated[list[int] | None, typer.Option("--length", help="seconds of the videos that are asked")] = None,
    each: Annotated[list[int] | None, typer.Option("--videos-asked", help="videos of each length, in order")] = None,
    seed: int = 0,
    keep: Annotated[Path | None, typer.Option(help="folder for the model, and for a video that is asked")] = None,
) -> None:
    """Print a table row for each length."""
    torch.set_num_threads(1)
    lengths = lengths or [60, 600, 3600]
    counts = each or [40] * len(lengths)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.process_time()
        if videos:
            out = (keep or folder) / "model"
            taught(base, out, folder, videos, epochs, lr, seed)
            base = out
        print(f"{videos} videos learnt in {time.process_time() - began:.0f} s of the processor", flush=True)
        model, processor = load_model(base, dtype=torch.float32), load_processor(base)
        keep_features(model, folder / "features")
        if keep is not None:
            write_needle(keep / "needle.mp4", NeedleVideo.drawn(50_000_000, lengths[0]))
        processor.image_processor = PreprocessOnce(processor.image_processor)
        for length, count in zip(lengths, counts, strict=True):
            began = time.process_time()
            tested = [NeedleVideo.drawn(50_000_000 + number, length) for number in range(count)]
            said = [asked(model, processor, video) for video in tested]
            right = [float(text == video.species) for (text, _), video in zip(said, tested, strict=True)]
            apart = [abs(when - video.start - LASTS / 2) for (_, when), video in zip(said, tested, strict=True)]
            middle = [abs(length / 2 - video.start - LASTS / 2) for video in tested]
            usual = Counter(video.species for video in tested).most_common(1)[0][1] / count
            groups = [str(number) for number in range(count)]
            bounds = mean_interval(groups, [100 * value for value in right], 0)
            print(
                f"{length:>7,} s, {count} videos: {np.mean(right):.1%} right "
                f"({'' if bounds is None else f'{bounds[0]:.0f} to {bounds[1]:.0f}, '}most frequent {usual:.1%}); "
                f"when {np.mean(apart):.1f} s apart, median {np.median(apart):.1f}, within 4 s "
                f"{np.mean(np.array(apart) <= LASTS):.0%} (the middle of the video: {np.mean(middle):.1f} s); "
                f"{(time.process_time() - began) / count:.1f} s of the processor a video",
                flush=True,
            )
            row = {"s": length, "right": float(np.mean(right)), "apart": float(np.mean(apart)), "seed": seed}
            print(json.dumps(row), flush=True)
    print(where_it_ran("cpu", "fp32"))


if __name__ == "__main__":
    typer.run(main)
