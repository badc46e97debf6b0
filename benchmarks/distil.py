"""How fast distillation is with the teacher computed once on trees, against computing it in every step, row by row.

    OMP_NUM_THREADS=1 python -m benchmarks.distil

The same teacher, student, samples and loss: (1 - alpha) CE + alpha T^2 KL on the tokens of the answers. `stored` is
this package: what the teacher says of all samples is computed once, stored (its 64 likeliest tokens and the rest as
one) and read by the training, which computes each image once; all of that is counted. `rows` is how a trainer that
holds both models does it: each sample is a row by itself, through the teacher without a gradient and through the
student with one, an update a scene. Its samples are tokenised beforehand, which is not counted. Both train for the same
epochs in one process, in processor time, so that other work on the machine does not count. The mean losses of their
first epoch differ by what taking tokens together leaves out.
"""

from __future__ import annotations

import platform
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch.nn.functional import cross_entropy, log_softmax

from benchmarks.tree_training import SHAPES, make_model, make_samples
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.records import Sample
from cityscribe.tokens.encode import Encoder
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import train
from cityscribe.train.tokenised import Teacher

ALPHA, TEMPERATURE = 0.5, 2.0
TEACHER = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 9}


@dataclass(frozen=True)
class Measured:
    seconds: float
    losses: list[float]  # of each update


def by_stored_outputs(folder: Path, student: Any, processor: Any, samples: list[Sample], epochs: int) -> Measured:
    """This package."""
    settings = TrainSettings(
        objective={
            "kind": "distil",
            "teacher": str(folder / "teacher"),
            "alpha": ALPHA,
            "temperature": TEMPERATURE,
        },
        batch_groups=1,
        epochs=epochs,
        precision="fp32",
        schedule="constant",
        warmup=0.0,
        lr=1e-5,
        save_steps=10_000,
    )
    losses: list[float] = []
    began = time.process_time()
    train(
        samples,
        folder,
        student,
        processor,
        settings,
        folder / "training",
        progress=lambda step, steps, loss, *_: losses.append(loss),
    )
    return Measured(time.process_time() - began, losses)


def row_by_row(
    teacher: Any, student: Any, processor: Any, samples: list[Sample], folder: Path, epochs: int
) -> Measured:
    """Both models in every step."""
    encoded = list(Teacher(Encoder(student, processor), folder, TrainSettings())(samples))
    scenes: dict[str, list[Any]] = {}
    for sample, each in zip(samples, encoded, strict=True):
        scenes.setdefault(sample.group, []).append(each)
    optimizer = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=1e-5, weight_decay=0.0)
    student.train()
    losses = []
    began = time.process_time()
    for _ in range(epochs):
        for rows in scenes.values():
            tokens = sum(int(each.trained.sum()) for each in rows)
            total = 0.0
            for each in rows:
                inputs = {**each.tensors(), **each.media_inputs}
                trained = torch.from_numpy(each.trained)[1:]
                ids = torch.from_numpy(each.input_ids)[1:][trained]
                with torch.no_grad():
                    said = teacher(**inputs, use_cache=False).logits[0, :-1][trained]
                logits = student(**inputs, use_cache=False).logits[0, :-1][trained]
                t, s = (log_softmax(values / TEMPERATURE, dim=-1) for values in (said, logits))
                apart = (t.exp() * (t - s)).sum()
                own = cross_entropy(logits, ids, reduction="sum")
                loss = ((1 - ALPHA) * own + ALPHA * TEMPERATURE**2 * apart) / tokens
                loss.backward()
                total += float(loss.detach())
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(total)
    return Measured(time.process_time() - began, losses)


def main(
    scenes: Annotated[int, typer.Option(help="of ten questions each")] = 2,
    epochs: Annotated[int, typer.Option(help="of both trainings")] = 2,
) -> None:
    """Print samples a second of both, and their ratio."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        samples = make_samples(folder, scenes)
        small = SHAPES["cpu"]["text"]
        student, processor = make_model(samples, "cpu", torch.float32)
        SHAPES["cpu"]["text"] = TEACHER
        teacher, _ = make_model(samples, "cpu", torch.float32)
        SHAPES["cpu"]["text"] = small
        save_model(student, processor, folder / "student")
        save_model(teacher, processor, folder / "teacher")
        teacher = load_model(folder / "teacher", dtype=torch.float32)
        rows_student = load_model(folder / "student", dtype=torch.float32)
        rows_student.model.vision_tower.requires_grad_(False)
        rows = row_by_row(teacher, rows_student, load_processor(folder / "student"), samples, folder, epochs)
        stored = by_stored_outputs(folder, student, processor, samples, epochs)
        counts = [sum(p.numel() for p in model.parameters()) / 1e6 for model in (teacher, student)]
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, float32, ", end="")
    print(f"torch {version('torch')}, transformers {version('transformers')}")
    print(f"teacher {counts[0]:.0f} M, student {counts[1]:.0f} M parameters; {len(samples)} samples, {epochs} epochs")
    done = len(samples) * epochs
    for name, way in (("rows", rows), ("stored", stored)):
        first = sum(way.losses[:scenes]) / scenes
        print(f"{name:8}{done / way.seconds:8.3f} samples/s  mean loss of the first epoch {first:.4f}")
    print(f"ratio   {rows.seconds / stored.seconds:8.2f}")


if __name__ == "__main__":
    typer.run(main)
