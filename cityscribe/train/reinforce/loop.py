"""Reinforcement on prefix trees: answers are sampled, rewarded and learned from, update by update.

    report = reinforce(samples, image_root, model, processor, settings.train, run_dir / "training", seed=settings.seed)

Takes the place of `cityscribe.train.supervised.train` where `train.objective` is a `SampledObjective`. Writes to its
folder `curve.jsonl`, a line an update, `answers.jsonl`, what was sampled and what it was worth, and `checkpoints/`. A
training that was killed, while it sampled or while it learned, goes on from its last checkpoint and ends with the same
weights bit for bit on a CPU. One process.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, ProcessorMixin, TrainerState, get_scheduler

from cityscribe.engine.local import LocalEngine
from cityscribe.files import InputError, naming, remove_folder
from cityscribe.models.parts import parameter_groups
from cityscribe.progress import Progress
from cityscribe.records import Sample
from cityscribe.train import processes
from cityscribe.train.checkpoints import (
    check_run,
    latest_checkpoint,
    load_optimizer,
    load_random_state,
    load_weights,
    save_checkpoint,
    step_of,
)
from cityscribe.train.kept_vision import vision_kept
from cityscribe.train.objectives.sampled import SampledObjective
from cityscribe.train.ready import Ready, get_ready
from cityscribe.train.reinforce.rollouts import Rollout, Rollouts
from cityscribe.train.reinforce.update import Told, Updates
from cityscribe.train.sampler import GroupSampler
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import SCHEDULES, TrainReport, count_steps, describe_run
from cityscribe.train.trainer import TrainingProgress, cut_curve, read_curve
from cityscribe.train.tree_attention import tree_backend

CURVE, ANSWERS = "curve.jsonl", "answers.jsonl"


def reinforce(
    samples: Sequence[Sample],
    image_root: Path,
    model: PreTrainedModel,
    processor: ProcessorMixin,
    settings: TrainSettings,
    out: Path,
    *,
    seed: int = 0,
    progress: TrainingProgress | None = None,
    on_group: Progress | None = None,
    tokens: Path | None = None,
) -> TrainReport:
    """Train `model` on its own answers to the questions of `samples`, and leave it in `eval` mode.

    Arguments as of `train`. A step of `settings` is an update: `batch_groups` image groups, all their questions,
    `num_generations` answers each. Raises InputError as `train`, where a reward gives no number, where several
    processes call it, and for settings that it does not know.
    """
    objective = _objective(settings)
    ready = get_ready(samples, image_root, model, processor, settings, tokens or out / "tokens", on_group)
    identity = describe_run(samples, model, settings, seed)
    checkpoint = latest_checkpoint(out / "checkpoints")
    if checkpoint is not None:
        check_run(checkpoint, identity)
    done = 0 if checkpoint is None else step_of(checkpoint)
    steps = count_steps(len(ready.groups), settings)
    out.mkdir(parents=True, exist_ok=True)
    for file in (CURVE, ANSWERS):
        cut_curve(out / file, done)
    attention, tree_error = ready.checked(model, processor)

    optimizer = _optimizer(model, settings)
    scheduler: Any = get_scheduler(SCHEDULES[settings.schedule], optimizer, math.ceil(settings.warmup * steps), steps)
    updates = Updates(model, ready, objective, attention, optimizer)  # before weights of a checkpoint are there
    if checkpoint is not None:
        load_weights(checkpoint, model)
        load_optimizer(checkpoint, optimizer, scheduler)
        load_random_state(checkpoint)
    else:
        torch.manual_seed(seed)
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    engine = LocalEngine(model, processor, batch_size=1)
    rollouts = Rollouts(engine, ready, objective, out / "rollouts", key, seed)
    sampler = GroupSampler(
        [outline.length for outline in ready.groups.outlines], settings.batch_groups, seed, batching=settings.batching
    )
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    with vision_kept(model):
        for step in range(done + 1, steps + 1):
            began = time.monotonic()
            model.eval()
            sampled = rollouts.of(step, _groups_of(step, sampler))
            with tree_backend(model, attention):
                told = updates.make(step, sampled)
            lr = scheduler.get_last_lr()[0] / optimizer.param_groups[0]["lr_scale"]
            with warnings.catch_warnings():
                # An update that taught nothing made no step of the optimizer.
                warnings.simplefilter("ignore", UserWarning)
                scheduler.step()
            _append(out / ANSWERS, _answers_lines(step, sampled))
            seconds = time.monotonic() - began
            _append(out / CURVE, [_line(step, told, lr, seconds)])
            if progress is not None:
                progress(step, steps, told.loss, told.distinct / seconds, told.effective / seconds)
            if step % settings.save_steps == 0 or step == steps:
                state = TrainerState(global_step=step)
                save_checkpoint(
                    out / "checkpoints", state, model, optimizer, scheduler, identity, settings.keep_checkpoints
                )
                rollouts.prune(step)
    if settings.gradient_checkpointing:
        model.activation_checkpointing_disable()
    model.eval()
    remove_folder(ready.tokens)
    remove_folder(out / "rollouts")
    return _report(out, ready, steps, done, tree_error)


def _objective(settings: TrainSettings) -> SampledObjective:
    """The objective of the settings, where they are such as reinforcement knows."""
    if processes.count() > 1:
        raise InputError("reinforcement runs on one process so far; set processes to 1")
    unknown = {
        "train.accumulate": settings.accumulate != 1,
        "train.validation.every": settings.validation.every != 0,
        "train.report_to": settings.report_to != "none",
    }
    if wrong := [name for name, is_set in unknown.items() if is_set]:
        raise InputError(f"{', '.join(wrong)}: not for reinforcement, whose updates are of train.batch_groups groups")
    objective = settings.objective
    if not isinstance(objective, SampledObjective):
        raise ValueError(f"the objective {objective.name} learns from given answers")
    return objective


def _optimizer(model: PreTrainedModel, settings: TrainSettings) -> torch.optim.Optimizer:
    """A rate for each part of the model; norms and biases do not decay."""
    groups = []
    for group in parameter_groups(model, settings.lr_scales):
        for decays in (True, False):
            parameters = [one for one in group["params"] if (one.ndim > 1) == decays]
            decay = settings.weight_decay if decays else 0.0
            groups.append({**group, "params": parameters, "lr": settings.lr * group["lr_scale"], "weight_decay": decay})
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=settings.lr, fused=True)


def _groups_of(step: int, sampler: GroupSampler) -> list[int]:
    """The groups of a step, counted from 1 through the epochs."""
    epoch, place = divmod(step - 1, len(sampler))
    sampler.set_epoch(epoch)
    return sampler.batches()[place]


def _line(step: int, told: Told, lr: float, seconds: float) -> dict[str, object]:
    return {
        "step": step,
        "loss": told.loss,
        "lr": lr,
        "grad_norm": told.grad_norm,
        "distinct_tokens_per_s": told.distinct / seconds,
        "effective_tokens_per_s": told.effective / seconds,
        **told.line(),
    }


def _answers_lines(step: int, sampled: Sequence[Sequence[Rollout]]) -> list[dict[str, object]]:
    return [
        {
            "step": step,
            "sample": rollout.sample.name,
            "answers": [
                {"text": text, "reward": reward, **parts}
                for text, reward, parts in zip(rollout.texts, rollout.rewards, rollout.parts, strict=True)
            ],
        }
        for group in sampled
        for rollout in group
    ]


def _append(file: Path, lines: Sequence[dict[str, object]]) -> None:
    with naming(file), file.open("a", encoding="utf-8") as out:
        out.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def _report(out: Path, ready: Ready, steps: int, done: int, tree_error: float) -> TrainReport:
    curve, groups = read_curve(out / CURVE), ready.groups
    kept = sum(line["kept"] for line in curve) / len(curve)
    note = f"{1 - kept:.0%} of the questions had answers that are all worth the same, and taught nothing"
    return TrainReport(
        steps=steps,
        resumed_from=done,
        groups=len(groups),
        samples=sum(len(outline.samples) for outline in groups.outlines),
        skipped=ready.skipped,
        distinct_tokens=sum(outline.length for outline in groups.outlines),
        effective_tokens=sum(outline.effective for outline in groups.outlines),
        first_loss=curve[0]["loss"],
        last_loss=curve[-1]["loss"],
        val_loss=None,
        tree_error=tree_error,
        notes=(*ready.notes, note) if kept < 1 else ready.notes,
    )
