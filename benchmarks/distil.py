"""How fast distillation is with the teacher computed once on trees, against computing it in every step, row by row.

    OMP_NUM_THREADS=1 python -m benchmarks.distil

The same teacher, student, samples and loss: (1 - alpha) CE + alpha T^2 KL on the tokens of the answers, ten questions
a scene about two images of 576 tokens. `stored` is this package: what the teacher says of all samples is computed once
and stored (its 64 likeliest tokens and the rest as one), each image once, and the training reads it; the teacher is
counted, divided by the epochs that it serves. `rows` is how a trainer that holds both models does it: each sample is a
row by itself, through the teacher without a gradient and through the student with one, an update a scene. Both in one
process and in processor time, so that other work on the machine does not count. Not counted are tokenising for the
student, and the check before our first step; our first update is a warm-up, so that there is one scene more than is
told.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import torch
import typer
from torch.nn.functional import cross_entropy, log_softmax

from benchmarks.in_turns import where_it_ran
from benchmarks.tree_training import make_model, make_samples
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.records import Sample
from cityscribe.tokens.encode import Encoder
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import train
from cityscribe.train.teacher import Student, logits_width, store_teacher
from cityscribe.train.tokenised import Teacher

ALPHA, TEMPERATURE = 0.5, 2.0
STUDENT = {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4, "num_attention_heads": 4}
TEACHER = {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 9, "num_attention_heads": 6}
QUESTIONS = 10


@dataclass(frozen=True)
class Measured:
    teacher: float  # seconds for all samples, 0 where that is a part of the updates
    updates: list[float]  # seconds of each
    loss: float  # of the last scene


def by_stored_outputs(folder: Path, student: Any, processor: Any, samples: list[Sample]) -> Measured:
    """This package."""
    settings = TrainSettings(
        objective={"kind": "distil", "teacher": str(folder / "teacher"), "alpha": ALPHA, "temperature": TEMPERATURE},
        batch_groups=1,
        precision="fp32",
        schedule="constant",
        warmup=0.0,
        lr=1e-9,  # so that the losses of the same scene can be compared
        save_steps=10_000,
    )
    clock: list[float] = []
    losses: list[float] = []

    def note(step: int, steps: int, loss: float, *_: float) -> None:
        clock.append(time.process_time())
        losses.append(loss)

    file = folder / "teacher.parquet"
    began = time.process_time()
    store_teacher(samples, folder, Student.of(processor, logits_width(student)), settings, file)
    asked = time.process_time() - began
    train(samples, folder, student, processor, settings, folder / "training", progress=note, teacher=file)
    return Measured(asked, [after - before for before, after in pairwise(clock)], sum(losses) / len(losses))


def row_by_row(teacher: Any, student: Any, processor: Any, samples: list[Sample], folder: Path) -> Measured:
    """Both models in every step."""
    encoded = list(Teacher(Encoder(student, processor), folder, TrainSettings())(samples))
    optimizer = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=1e-9, weight_decay=0.0)
    student.train()
    losses, seconds = [], []
    for start in range(0, len(samples), QUESTIONS):
        began = time.process_time()
        rows = encoded[start : start + QUESTIONS]
        tokens = sum(int(each.trained.sum()) for each in rows)
        total = 0.0
        for each in rows:
            inputs = {**each.tensors(), **each.media_inputs}
            trained = torch.from_numpy(each.trained)[1:]
            ids = torch.from_numpy(each.input_ids)[1:][trained]
            keep = torch.cat([trained, torch.zeros(1, dtype=torch.bool)])[None]  # neither computes logits in vain
            with torch.no_grad():
                said = teacher(**inputs, use_cache=False, logits_to_keep=keep).logits.flatten(0, -2)
            logits = student(**inputs, use_cache=False, logits_to_keep=keep).logits.flatten(0, -2)
            t, s = (log_softmax(values / TEMPERATURE, dim=-1) for values in (said, logits))
            apart = (t.exp() * (t - s)).sum()
            own = cross_entropy(logits, ids, reduction="sum")
            loss = ((1 - ALPHA) * own + ALPHA * TEMPERATURE**2 * apart) / tokens
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.process_time() - began)
        losses.append(total)
    return Measured(0.0, seconds, sum(losses) / len(losses))


def main(
    scenes: Annotated[int, typer.Option(help="of ten questions each")] = 2,
    epochs: Annotated[int, typer.Option(help="that what the teacher says serves")] = 3,
) -> None:
    """Print samples a second of both, and their ratio."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        samples = make_samples(folder, scenes + 1, QUESTIONS)
        models = {}
        for name, shape in (("student", STUDENT), ("teacher", TEACHER)):
            models[name], processor = make_model(samples, "cpu", text=shape)
            save_model(models[name], processor, folder / name)
        stored = by_stored_outputs(folder, models["student"], processor, samples)
        student = load_model(folder / "student", dtype=torch.float32)
        student.model.vision_tower.requires_grad_(False)
        teacher = load_model(folder / "teacher", dtype=torch.float32)
        rows = row_by_row(teacher, student, load_processor(folder / "student"), samples[: scenes * QUESTIONS], folder)
        counts = [sum(p.numel() for p in model.parameters()) / 1e6 for model in (teacher, student)]
    print(where_it_ran("cpu", "fp32"))
    print(f"teacher {counts[0]:.0f} M, student {counts[1]:.0f} M parameters")
    each = mean(rows.updates) / QUESTIONS
    ours = stored.teacher / len(samples) / epochs + mean(stored.updates) / QUESTIONS
    print(f"rows    {1 / each:8.3f} samples/s   loss {rows.loss:.4f}")
    print(f"stored  {1 / ours:8.3f} samples/s   loss {stored.loss:.4f}   ({epochs} epochs)")
    once = stored.teacher / len(samples) + mean(stored.updates) / QUESTIONS
    print(f"ratio   {each / ours:8.2f}, with one epoch {each / once:.2f}")


if __name__ == "__main__":
    typer.run(main)
