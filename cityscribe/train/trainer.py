"""The Hugging Face `Trainer`, taught what a step on prefix trees is.

A step is a `Batch`: the trees of some image groups in micro-batches that are computed one after the other. Losses are
sums that are divided by the weight of everything that an update sees, over its micro-batches, accumulated batches and
processes, so that how the work is cut up does not change the result.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainingArguments

from cityscribe.records import InputError
from cityscribe.train.checkpoints import load_optimizer, load_random_state, load_weights, save_checkpoint
from cityscribe.train.collator import Batch, Collator, MicroBatch
from cityscribe.train.exact import kept_logits
from cityscribe.train.rules import TreeAttention
from cityscribe.tree import target_logprobs

Progress = Callable[[int, int, float], None]
"""`(step, steps, loss)`, called after each step."""


class GroupSampler:
    """Batches of group numbers, shuffled anew each epoch; the order follows from the seed and the epoch alone."""

    def __init__(self, groups: int, batch_groups: int, seed: int) -> None:
        self.groups = groups
        self.batch_size = batch_groups
        self.seed = seed
        self.epoch = 0
        self.drop_last = False

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.groups / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.groups).tolist()
        for start in range(0, self.groups, self.batch_size):
            yield order[start : start + self.batch_size]


class TreeTrainer(Trainer):
    """Trains on the groups of a collator. `keep` checkpoints stay; `run` is stored in each, to know it again."""

    def __init__(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        collator: Collator,
        sampler: GroupSampler,
        *,
        out: Path,
        attention: TreeAttention | None,
        dtype: torch.dtype,
        run: dict[str, Any],
        keep: int,
        progress: Progress | None,
    ) -> None:
        super().__init__(model, args, collator, range(sampler.groups))  # type: ignore[arg-type]
        self.remove_callback(PrinterCallback)
        self.bare = model  # however the Trainer wraps it
        self.out = out
        self.sampler = sampler
        self.attention = attention
        self.dtype = dtype
        self.run = run
        self.keep = keep
        self.progress = progress
        self.update: list[Batch] = []  # the batches of the update that is being computed
        self.clock = time.monotonic()

    def get_train_dataloader(self) -> DataLoader:
        groups: Any = range(self.sampler.groups)
        return self.accelerator.prepare(
            DataLoader(
                groups,
                batch_sampler=self.sampler,
                collate_fn=self.data_collator,
                num_workers=self.args.dataloader_num_workers,
                persistent_workers=self.args.dataloader_num_workers > 0,
            )
        )

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], Tensor]:
        """The batches of one update, and the sum of their weights over all processes."""
        self.update = list(itertools.islice(epoch_iterator, num_batches))
        weight = torch.tensor(sum(batch.weight for batch in self.update), dtype=torch.float64, device=device)
        return self.update, self.accelerator.gather(weight).sum()

    def training_step(self, model: nn.Module, inputs: Batch, num_items_in_batch: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """The gradient of one batch, a micro-batch at a time; returns its share of the loss of the update."""
        model.train()
        total = torch.zeros((), device=self.args.device)
        for number, micro in enumerate(inputs.micro_batches, start=1):
            # Processes may have different numbers of micro-batches: they meet at the last one only.
            last = number == len(inputs.micro_batches)
            with nullcontext() if last else self.accelerator.no_sync(model):
                loss = self.compute_loss(model, micro, num_items_in_batch=num_items_in_batch)
                self.accelerator.backward(loss)
            total += loss.detach()
        if not torch.isfinite(total):
            raise InputError(
                f"the loss of step {self.state.global_step + 1} is {float(total)}; its samples: "
                f"{', '.join(inputs.samples)}; lower train.lr, or look at these samples"
            )
        return total

    def compute_loss(  # type: ignore[override]
        self,
        model: nn.Module,
        inputs: MicroBatch,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor:
        with self.compute_loss_context_manager():
            logits = kept_logits(model, inputs, self.attention)
        loss = -(target_logprobs(logits, inputs.rows) * inputs.rows.weights).sum()
        if num_items_in_batch is None:
            return loss / inputs.rows.weights.sum()
        # Gradients are averaged over processes, the weight is the sum over them.
        return loss * self.accelerator.num_processes / num_items_in_batch.to(loss.dtype)

    def compute_loss_context_manager(self) -> AbstractContextManager:  # type: ignore[override]
        """Here and not by the accelerator, which would wrap the model's `forward` and leave it wrapped."""
        return torch.autocast(self.args.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def floating_point_ops(self, inputs: Any) -> int:
        return 0  # counts the elements of `input_ids`, which a batch of trees does not have

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """A line in the curve for each step, with the speed in tokens a second."""
        super().log(logs, start_time)
        self.state.log_history.clear()  # it would be written into every checkpoint, and the curve has it all
        if "loss" not in logs:
            return
        now, before = time.monotonic(), self.clock
        self.clock = now
        line = {
            "step": self.state.global_step,
            "loss": logs["loss"],
            "lr": logs["learning_rate"],
            "grad_norm": logs["grad_norm"],
            "distinct_tokens_per_s": sum(batch.distinct for batch in self.update) / (now - before),
            "effective_tokens_per_s": sum(batch.effective for batch in self.update) / (now - before),
        }
        if not math.isfinite(logs["grad_norm"]):
            samples = (name for batch in self.update for name in batch.samples)
            raise InputError(
                f"the gradient of step {self.state.global_step} is not finite; its samples: {', '.join(samples)}; "
                "lower train.lr, or look at these samples"
            )
        if self.is_world_process_zero():
            with (self.out / "curve.jsonl").open("a", encoding="utf-8") as curve:
                curve.write(json.dumps(line) + "\n")
        if self.progress is not None:
            self.progress(self.state.global_step, self.state.max_steps, logs["loss"])

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        if self.args.should_save:
            folder = self.out / "checkpoints"
            optimizer: Any = self.optimizer
            save_checkpoint(folder, self.state, self.bare, optimizer, self.lr_scheduler, self.run, self.keep)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        load_weights(Path(resume_from_checkpoint), self.bare)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            optimizer: Any = self.optimizer
            load_optimizer(Path(checkpoint), optimizer, self.lr_scheduler)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            load_random_state(Path(checkpoint))


def cut_curve(curve: Path, step: int) -> None:
    """Take the lines after a step out of a curve, and one that a kill left unfinished: they will be written again."""
    lines = curve.read_text(encoding="utf-8").splitlines(keepends=True) if curve.exists() else []
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    partial = curve.with_name(curve.name + ".partial")
    partial.write_text("".join(kept), encoding="utf-8")
    os.replace(partial, curve)


def read_curve(curve: Path) -> list[dict[str, float]]:
    """The lines of a curve: step, loss, lr, grad_norm, distinct_tokens_per_s, effective_tokens_per_s."""
    return [json.loads(line) for line in curve.read_text(encoding="utf-8").splitlines()]
