"""The Hugging Face `Trainer`, taught what a step on prefix trees is.

A step is a `Batch`: the trees of some image groups in micro-batches that are computed one after the other. Losses are
sums that are divided by the denominator of everything that an update sees, over its micro-batches, accumulated batches
and processes, so that how the work is cut up does not change the result. What is minimised, the objective says.
"""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from cityscribe.files import InputError, naming, write_text
from cityscribe.models.parts import parameter_groups, parameters_of
from cityscribe.models.settings import ModelPart
from cityscribe.train import processes
from cityscribe.train.checkpoints import (
    load_optimizer,
    load_random_state,
    load_weights,
    save_checkpoint,
    steps_of_checkpoints,
)
from cityscribe.train.collator import Batch, Collator, MicroBatch, weightless
from cityscribe.train.objectives.objective import Objective
from cityscribe.train.offload import offloaded
from cityscribe.train.sampler import GroupSampler
from cityscribe.train.score import summed_loss
from cityscribe.train.settings import BEST
from cityscribe.train.sharing import Sharing, check_shares
from cityscribe.train.tree_attention import TreeAttention
from cityscribe.train.validation import BestWeights, Look, Validator, best_of, ends_at

TrainingProgress = Callable[..., None]
"""`(step, steps, loss, distinct_per_s, effective_per_s)`, called after each step on the first process."""


@dataclass(frozen=True, slots=True)
class Update:
    """The batches of one update on this process, and what all processes have in it."""

    batches: list[Batch]
    distinct: int
    effective: int


class TreeTrainer(Trainer):
    """Trains on the groups of a collator. `keep` checkpoints stay; `run` is stored in each, to know it again.

    With "fsdp2" and "deepspeed" the parameters of `model` are shared out, and it stays so.
    """

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
        sharing: Sharing,
        lr_scales: Mapping[ModelPart, float],
        run: dict[str, object],
        keep: int,
        progress: TrainingProgress | None,
        validator: Validator | None,
        looks: Sequence[Look],
        callbacks: list[TrainerCallback],
    ) -> None:
        self.sharing = sharing
        groups: Any = range(len(sampler.lengths))
        # One process computes on one device. With several in sight the Trainer would wrap the model in DataParallel,
        # which cuts trees apart.
        args._n_gpu = min(args.n_gpu, 1)
        super().__init__(model, args, collator, groups, callbacks=callbacks)  # type: ignore[arg-type]
        self.remove_callback(PrinterCallback)
        if processes.rank():
            torch.manual_seed(args.seed + processes.rank())  # or all would drop out the same
        self.bare = model  # however the Trainer wraps it
        self.objective: Objective = collator.settings.objective
        self.validation = collator.settings.validation
        self.offloads = collator.settings.offload_activations
        self.groups = collator.groups
        self.out = out
        self.sampler = sampler
        self.attention = attention
        self.dtype = dtype
        self.lr_scales = lr_scales
        self.turns = parts_in_turns(model, collator.settings.alternate)
        self.run = run
        self.keep = keep
        self.progress = progress
        self.validator = validator
        self.looks = list(looks)  # so far
        self.best = BestWeights(out / BEST)
        self.update = Update([], 0, 0)  # the one that is being computed
        self.clock = time.monotonic()

    @property
    def shares_model(self) -> bool:
        """Whether processes hold parts of the model and have to compute as many micro-batches as each other."""
        return self.sharing in ("fsdp2", "deepspeed")

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        state = self.accelerator.state
        if self.sharing == "fsdp2" and state.distributed_type != DistributedType.FSDP:
            # On a CPU accelerate would give each process a whole model, without a word.
            state.distributed_type = DistributedType.FSDP
            state.fsdp_plugin = FullyShardedDataParallelPlugin(**self.args.fsdp_plugin_args)
            self.is_fsdp_enabled = True
        if self.sharing == "deepspeed" and state.distributed_type != DistributedType.DEEPSPEED:
            raise InputError(
                "train.distributed: DeepSpeed does not start here; begin with torchrun, or set it to fsdp2"
            )

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """The optimizer, with a rate for each part of the model; norms and biases do not decay."""
        if self.optimizer is None:
            decaying = set(self.get_decay_parameter_names(self.bare))
            decays = {id(parameter) for name, parameter in self.bare.named_parameters() if name in decaying}
            groups = []
            for group in parameter_groups(self.bare, self.lr_scales):
                rate = self.args.learning_rate * group["lr_scale"]
                for decay, members in ((self.args.weight_decay, True), (0.0, False)):
                    parameters = [p for p in group["params"] if (id(p) in decays) == members]
                    groups.append({**group, "params": parameters, "lr": rate, "weight_decay": decay})
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.bare)
            self.optimizer = kind([group for group in groups if group["params"]], **options)
        return self.optimizer

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> Any:
        prepared = super()._prepare_for_training(*args, **kwargs)
        if self.sharing == "fsdp2":
            check_shares(self.bare)
        return prepared

    def get_train_dataloader(self) -> DataLoader:
        groups: Any = range(len(self.sampler.lengths))
        loader = DataLoader(
            groups,
            batch_sampler=self.sampler,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            persistent_workers=self.args.dataloader_num_workers > 0,
        )
        # As if for one process: the sampler knows how many there are. Accelerate would deal out whole batches, and
        # begin again from the front of the epoch for those that are left without one at its end.
        return prepare_data_loader(
            loader, self.accelerator.device, num_processes=1, process_index=0, put_on_device=True
        )

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], Tensor]:
        """The batches of one update, and what its loss is divided by, over all processes."""
        batches = list(itertools.islice(epoch_iterator, num_batches))
        counts = [len(batch.micro_batches) for batch in batches]
        parts = ((b.denominator, b.distinct, b.effective) for b in batches)
        sums = [sum(values) for values in zip(*parts, strict=True)]
        here = torch.tensor([*sums, *counts], dtype=torch.float64, device=device)
        everywhere = self.accelerator.gather(here[None])  # [processes, 3 + batches]
        denominator, distinct, effective = everywhere[:, :3].sum(dim=0)
        if self.shares_model:
            longest = everywhere[:, 3:].amax(dim=0).int().tolist()
            batches = [filled_up(batch, count) for batch, count in zip(batches, longest, strict=True)]
        self.update = Update(batches, int(distinct), int(effective))
        return batches, denominator

    def training_step(self, model: nn.Module, inputs: Batch, num_items_in_batch: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """The gradient of one batch, a micro-batch at a time; returns its share of the loss of the update."""
        model.train()
        total = torch.zeros((), device=self.args.device)
        update_ends = self.accelerator.sync_gradients
        for number, micro in enumerate(inputs.micro_batches, start=1):
            last = number == len(inputs.micro_batches)
            self.accelerator.sync_gradients = update_ends and last  # DeepSpeed makes its step within `backward`
            # With whole models processes may have different numbers of micro-batches and meet at the last one only.
            # Shared ones meet at each, and add their gradients there: to keep them whole for later takes more memory.
            with nullcontext() if last or self.shares_model else self.accelerator.no_sync(model):
                loss = self.compute_loss(model, micro, num_items_in_batch=num_items_in_batch)
                self.accelerator.backward(loss, **self._backward_options())
            total += loss.detach()
        if self.turns and update_ends:
            turn = self.state.global_step % len(self.turns)
            for parameter in itertools.chain(*(part for n, part in enumerate(self.turns) if n != turn)):
                parameter.grad = None  # which the optimizer passes over, moments and all
        finite = torch.isfinite(total)
        if not self.accelerator.gather(finite[None]).all():
            samples = [name for names in processes.from_all(() if finite else inputs.samples) for name in names]
            raise InputError(
                f"the loss of step {self.state.global_step + 1} is not finite; its samples: {', '.join(samples)}; "
                "lower train.lr, or look at these samples"
            )
        return total

    def _backward_options(self) -> dict[str, bool]:
        """What only DeepSpeed takes: losses are divided by the denominator of the whole update already."""
        return {"scale_wrt_gas": False} if self.sharing == "deepspeed" else {}

    def compute_loss(  # type: ignore[override]
        self,
        model: nn.Module,
        inputs: MicroBatch,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor:
        if num_items_in_batch is None:
            raise ValueError("a loss is a share of its update's, whose denominator has to be given")
        with offloaded(self.bare, self.offloads):
            loss = summed_loss(self.objective, model, inputs, self.groups, self.attention, self.dtype, bare=self.bare)
        # Gradients are averaged over processes, the denominator is the sum over them.
        return loss * self.accelerator.num_processes / num_items_in_batch.to(loss.dtype)

    def compute_loss_context_manager(self) -> AbstractContextManager:  # type: ignore[override]
        return nullcontext()  # see `trained_logprobs`

    def floating_point_ops(self, inputs: Any) -> int:
        return 0  # counts the elements of `input_ids`, which a batch of trees does not have

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """A line in the curve for each step, with the speed in tokens a second over all processes."""
        if "loss" not in logs:
            super().log(logs, start_time)
            self.state.log_history.clear()
            return
        now, before = time.monotonic(), self.clock
        self.clock = now
        # The rate that is shown is that of the first parameter group, whose part may have a factor of its own.
        optimizer: Any = self.optimizer
        logs["learning_rate"] /= optimizer.param_groups[0]["lr_scale"]
        logs["distinct_tokens_per_s"] = self.update.distinct / (now - before)
        logs["effective_tokens_per_s"] = self.update.effective / (now - before)
        if self.validator is not None and self.state.global_step % self.validation.every == 0:
            logs["val_loss"] = self._look(self.validator)
        super().log(logs, start_time)
        self.state.log_history.clear()  # it would be written into every checkpoint, and the curve has it all
        if not math.isfinite(logs["grad_norm"]):
            names = processes.from_all([name for batch in self.update.batches for name in batch.samples])
            raise InputError(
                f"the gradient of step {self.state.global_step} is not finite; its samples: "
                f"{', '.join(itertools.chain(*names))}; lower train.lr, or look at these samples"
            )
        if not self.is_world_process_zero():
            return
        speeds = {name: logs[name] for name in ("distinct_tokens_per_s", "effective_tokens_per_s")}
        line = {
            "step": self.state.global_step,
            "loss": logs["loss"],
            "lr": logs["learning_rate"],
            "grad_norm": logs["grad_norm"],
            **speeds,
            **({"val_loss": logs["val_loss"]} if "val_loss" in logs else {}),
        }
        file = self.out / "curve.jsonl"
        with naming(file), file.open("a", encoding="utf-8") as curve:
            curve.write(json.dumps(line) + "\n")
        if self.progress is not None:
            self.progress(self.state.global_step, self.state.max_steps, logs["loss"], *speeds.values())

    def _look(self, validator: Validator) -> float:
        """The loss on `val` after this step, and what follows from it."""
        step = self.state.global_step
        look = Look(step, validator.loss())
        self.looks.append(look)
        if self.validation.keep == "best" and best_of(self.looks) is look:
            self.best.save(step, self.bare)
        if ends_at(self.looks, self.validation.patience) == step:
            self.control.should_save = self.control.should_training_stop = True
        self.clock = time.monotonic()  # a look is no part of the speed of the next step
        return look.loss

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        if self.sharing == "deepspeed":
            return  # what it keeps of the optimizer can be stored by itself only, pickled
        folder = self.out / "checkpoints"
        optimizer: Any = self.optimizer
        save_checkpoint(folder, self.state, self.bare, optimizer, self.lr_scheduler, self.run, self.keep)
        if processes.is_first():
            self.best.prune(self.looks, steps_of_checkpoints(folder))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        load_weights(Path(resume_from_checkpoint), self.bare)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            optimizer: Any = self.optimizer
            load_optimizer(Path(checkpoint), optimizer, self.lr_scheduler)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            load_random_state(Path(checkpoint))


def parts_in_turns(model: PreTrainedModel, parts: Sequence[ModelPart]) -> list[list[nn.Parameter]]:
    """What trains of each part. Raises InputError for a part that the model has not, or of which nothing trains."""
    found = [[p for p in parameters_of(model, (part,), "train.alternate") if p.requires_grad] for part in parts]
    for part, parameters in zip(parts, found, strict=True):
        if not parameters:
            raise InputError(f"train.alternate: nothing trains in {part}")
    return found


def filled_up(batch: Batch, count: int) -> Batch:
    """The batch with as many micro-batches as other processes have in theirs. The last one is the shortest."""
    missing = count - len(batch.micro_batches)
    return replace(batch, micro_batches=[*batch.micro_batches, *[weightless(batch.micro_batches[-1])] * missing])


def cut_curve(curve: Path, step: int) -> None:
    """Take the lines after a step out of a curve, and one that a kill left unfinished: they will be written again."""
    lines = curve.read_text(encoding="utf-8").splitlines(keepends=True) if curve.exists() else []
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    write_text(curve, "".join(kept))


def looks_of(curve: Sequence[Mapping[str, float]]) -> list[Look]:
    """The looks that a curve tells of."""
    return [Look(int(line["step"]), line["val_loss"]) for line in curve if "val_loss" in line]


def read_curve(curve: Path) -> list[dict[str, float]]:
    """The lines of a curve: step, loss, lr, grad_norm, distinct_tokens_per_s, effective_tokens_per_s."""
    return [json.loads(line) for line in curve.read_text(encoding="utf-8").splitlines()]
